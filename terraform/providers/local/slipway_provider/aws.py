"""AWS as the environment variables say: credentials, region and address of its API, and its refusals in words.

botocore is imported with the first call: Terraform starts this provider several times a command, mostly without one.
"""

import os
from typing import Any

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 5
NAMED_FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


class AwsError(Exception):
    """AWS refused, or could not be asked: `title` for the headline, `str(error)` for the whole story."""

    def __init__(self, title: str, detail: str = "", *, code: str = "") -> None:
        super().__init__(detail or title)
        self.title = title
        self.code = code


class AwsClient:
    """One service of one region. Calls are retried where AWS asks for it; refusals come as `AwsError`."""

    def __init__(self, service: str, region: str | None) -> None:
        self.service = service
        self.region = region_of(region)
        self._client = _client(service, self.region)

    def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call, such as `client("describe_notebook_instance", NotebookInstanceName=...)`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            told = error.response.get("Error", {})
            code, message = str(told.get("Code", "")), str(told.get("Message", ""))
            raise AwsError(
                f"AWS refused {error.operation_name}", f"{code}: {message}" if code else message, code=code
            ) from None
        except BotoCoreError as error:
            raise AwsError(f"AWS could not be asked for {self.service} in {self.region}", str(error)) from None
        return answer


def region_of(given: str | None) -> str:
    region = given or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    if not region:
        raise AwsError("No AWS region is set", "Set AWS_REGION in the variable set that holds the credentials.")
    return region


def _client(service: str, region: str) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    session = Session()
    access_key, secret_key = (os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if not (access_key and secret_key) and not any(os.environ.get(name) for name in NAMED_FILES):
        # Nothing else is asked: what the machine itself may do in AWS is not an environment's to use.
        raise AwsError(
            "There are no AWS credentials",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in a variable set for the target aws.",
        )
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        user_agent_extra="slipway",
    )
    verify = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None
    if access_key and secret_key:
        return session.create_client(
            service,
            region_name=region,
            config=config,
            verify=verify,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=os.environ.get("AWS_SESSION_TOKEN"),
        )
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    return session.create_client(service, region_name=region, config=config, verify=verify)
