"""Clusters of your team, from a notebook: `import slipway; client = slipway.dask_client("my cluster")`.

* `dask_client(name)` gives a `distributed.Client`, `spark_session(name)` a `pyspark.sql.SparkSession`. Without a name
  the only cluster of that kind is taken.
* `clusters()` lists what there is.

Address and credentials are asked of Slipway each time, as the environment in which this runs; nothing has to be copied.
What goes wrong is said by `ClusterError`.
"""

from slipway.clients import dask_client, spark_session
from slipway.connections import ClusterError, clusters

__all__ = ["ClusterError", "clusters", "dask_client", "spark_session"]
