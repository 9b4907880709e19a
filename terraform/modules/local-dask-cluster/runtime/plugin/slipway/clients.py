"""The clients of each kind of cluster. Their packages are imported when they are asked for: some take a second."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from slipway.connections import ClusterError, connection, versions_agree


def dask_client(name: str = "", **options: Any) -> Any:
    """A `distributed.Client` of the Dask cluster; `options` go to it."""
    _needed("distributed", "Dask")
    what = connection("dask", name)
    exactly = ("dask", "distributed")
    versions_agree(what, _own("python", *exactly), exactly=exactly)
    import dask
    from distributed import Client, Security

    # Where the client shows a link, it leads through Slipway.
    dask.config.set({"distributed.dashboard.link": f"{what['app_url'].rstrip('/')}/status"})
    tls = what["tls"]
    security = Security(
        require_encryption=True,
        tls_ca_file=tls["ca"],
        tls_client_cert=tls["certificate"],
        tls_client_key=tls["key"],
    )
    try:
        return Client(what["address"], security=security, **{"timeout": 20, **options})
    except (OSError, TimeoutError) as error:
        raise _unreachable(what, error) from error


def spark_session(name: str = "") -> Any:
    """A `pyspark.sql.SparkSession` of the Spark cluster, by Spark Connect."""
    _needed("pyspark", "Spark")
    what = connection("spark", name)
    versions_agree(what, _own("python", "pyspark"), exactly=())
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(f"{what['address']}/;token={what['token']}").getOrCreate()


def _own(*names: str) -> dict[str, str | None]:
    return {name: platform.python_version() if name == "python" else _version(name) for name in names}


def _version(package: str) -> str | None:
    for name in (package, "pyspark-client") if package == "pyspark" else (package,):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _needed(package: str, title: str) -> None:
    if _version(package) is None:
        raise ClusterError(
            f"{title} is not installed here. In Settings on this environment's page, choose Python packages with it."
        )


def _unreachable(what: dict[str, Any], error: BaseException) -> ClusterError:
    return ClusterError(
        f"The cluster “{what['name']}” does not answer at {what['address']}: {error}. Its page: {what['page']}"
    )
