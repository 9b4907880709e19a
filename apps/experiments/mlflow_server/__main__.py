import sys

from apps.experiments.mlflow_server.server import main

main(sys.argv[1:])
