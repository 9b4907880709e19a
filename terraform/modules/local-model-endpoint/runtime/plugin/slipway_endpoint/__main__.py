"""`python -m slipway_endpoint`: fetch the version's files through Slipway, load the model, answer.

What keeps it from serving is said in one sentence, the last line of the log, and ends the process at once.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

from slipway_endpoint import fetching, lacking
from slipway_endpoint.door import Door


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="slipway_endpoint", allow_abbrev=False)
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-version", required=True, type=int)
    parser.add_argument("--folder", required=True, type=Path, help="keeps the model's files between starts")
    parser.add_argument("--request-s", type=int, default=30)
    return parser.parse_args(argv)


def main(argv):
    options = _arguments(argv)
    port, secret = int(os.environ["SLIPWAY_PORT"]), os.environ.pop("SLIPWAY_SECRET")
    # A start waits a few seconds for an MLflow that is away, not the minutes that its client waits by itself.
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
    os.environ["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"] = str(options.request_s)
    name = f"{options.model_name} version {options.model_version}"
    try:
        print(f"Fetching {name}", flush=True)
        model_folder = fetching.fetch(options.model_name, options.model_version, options.folder)
        # The model's code comes next: it sees neither the secret of the door nor the token.
        os.environ.pop("MLFLOW_TRACKING_TOKEN", None)
        differences = lacking.differences(model_folder)
        for line in differences:
            print(f"Note: {line}", flush=True)
        print(f"Loading {name}", flush=True)
        application = _application(model_folder)
    except fetching.CannotFetch as error:
        return _end(str(error))
    except ModuleNotFoundError as error:
        traceback.print_exc()
        return _end(lacking.sentence(error, model_folder))
    except Exception as error:
        traceback.print_exc()
        hint = f" Perhaps because {differences[0][:1].lower()}{differences[0][1:]}" if differences else ""
        return _end(f"{name} could not be loaded: {type(error).__name__}: {str(error)[:200]}.{hint}")
    import uvicorn

    print(f"{name} answers", flush=True)
    about = {"model": options.model_name, "version": options.model_version, "differences": differences}
    uvicorn.run(
        Door(application, secret=secret, about=about),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    return 0


def _application(model_folder):
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    return scoring_server.init(mlflow.pyfunc.load_model(str(model_folder)))


def _end(sentence):
    sys.stdout.flush()
    print(sentence, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
