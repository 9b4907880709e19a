"""Every call of MLflow 3.17 that the portal does not pass on, with why; what it passes on is in `mlflow_attacks`.

Each line is an address and its methods. A call that a new version adds belongs into one of the two before the tests
pass again. Twins under `/ajax-api` of what stands under `/api` are not repeated: none of them is passed on.
"""

# Asked for by MLflow's own pages alone, or answered by it with "not implemented".
PAGES_ONLY = """
/ GET
/ajax-api/2.0/mlflow/experiments/search-datasets POST
/ajax-api/2.0/mlflow/get-trace-artifact GET
/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files GET
/ajax-api/2.0/mlflow/metrics/get-history-bulk GET
/ajax-api/2.0/mlflow/runs/create-promptlab-run POST
/ajax-api/2.0/mlflow/upload-artifact POST
/ajax-api/3.0/mlflow/demo/delete POST
/ajax-api/3.0/mlflow/demo/generate POST
/ajax-api/3.0/mlflow/get-trace-artifact GET
/ajax-api/3.0/mlflow/ui-telemetry GET POST
/api/2.0/mlflow/get-online-trace-details GET
/api/2.0/mlflow/unified-traces GET
/api/2.0mlflow/experiments/search-datasets POST
/build/{filename} GET
/get-artifact GET
/graphql GET POST
/model-versions/get-artifact GET
/static-files/{path} GET
"""

# Runs something on the server's machine, or calls other addresses from it.
REACHES_BEYOND = """
/ajax-api/2.0/mlflow/gateway-proxy GET POST
/ajax-api/3.0/jobs/ POST
/ajax-api/3.0/jobs/cancel/{job_id} PATCH
/ajax-api/3.0/jobs/search POST
/ajax-api/3.0/jobs/{job_id} GET
/ajax-api/3.0/mlflow/assistant/config GET PUT
/ajax-api/3.0/mlflow/assistant/message POST
/ajax-api/3.0/mlflow/assistant/providers GET
/ajax-api/3.0/mlflow/assistant/providers/{provider}/health GET
/ajax-api/3.0/mlflow/assistant/providers/{provider}/models GET
/ajax-api/3.0/mlflow/assistant/sessions/{session_id} PATCH
/ajax-api/3.0/mlflow/assistant/sessions/{session_id}/permission POST
/ajax-api/3.0/mlflow/assistant/sessions/{session_id}/stream GET
/ajax-api/3.0/mlflow/assistant/sessions/{session_id}/tool-result POST
/ajax-api/3.0/mlflow/assistant/skills/install POST
/ajax-api/3.0/mlflow/gateway/provider-config GET
/ajax-api/3.0/mlflow/gateway/secrets/config GET
/ajax-api/3.0/mlflow/gateway/supported-models GET
/ajax-api/3.0/mlflow/gateway/supported-providers GET
/ajax-api/3.0/mlflow/genai/evaluate/invoke POST
/ajax-api/3.0/mlflow/issues/invoke POST
/ajax-api/3.0/mlflow/jobs/cancel/{job_id} PATCH
/ajax-api/3.0/mlflow/jobs/{job_id} GET
/ajax-api/3.0/mlflow/scorer/invoke POST
/api/2.0/mlflow/webhooks GET POST
/api/2.0/mlflow/webhooks/{webhook_id} DELETE GET PATCH
/api/2.0/mlflow/webhooks/{webhook_id}/test POST
/api/3.0/mlflow/gateway/budgets/create POST
/api/3.0/mlflow/gateway/budgets/delete DELETE
/api/3.0/mlflow/gateway/budgets/get GET
/api/3.0/mlflow/gateway/budgets/list GET
/api/3.0/mlflow/gateway/budgets/update POST
/api/3.0/mlflow/gateway/budgets/windows GET
/api/3.0/mlflow/gateway/endpoints/bindings/create POST
/api/3.0/mlflow/gateway/endpoints/bindings/delete DELETE
/api/3.0/mlflow/gateway/endpoints/bindings/list GET
/api/3.0/mlflow/gateway/endpoints/create POST
/api/3.0/mlflow/gateway/endpoints/delete DELETE
/api/3.0/mlflow/gateway/endpoints/delete-tag DELETE
/api/3.0/mlflow/gateway/endpoints/get GET
/api/3.0/mlflow/gateway/endpoints/list GET
/api/3.0/mlflow/gateway/endpoints/models/attach POST
/api/3.0/mlflow/gateway/endpoints/models/detach POST
/api/3.0/mlflow/gateway/endpoints/set-tag POST
/api/3.0/mlflow/gateway/endpoints/update POST
/api/3.0/mlflow/gateway/guardrails/add-to-endpoint POST
/api/3.0/mlflow/gateway/guardrails/create POST
/api/3.0/mlflow/gateway/guardrails/delete DELETE
/api/3.0/mlflow/gateway/guardrails/get GET
/api/3.0/mlflow/gateway/guardrails/list GET
/api/3.0/mlflow/gateway/guardrails/list-for-endpoint GET
/api/3.0/mlflow/gateway/guardrails/remove-from-endpoint DELETE
/api/3.0/mlflow/gateway/guardrails/update-config PATCH
/api/3.0/mlflow/gateway/model-definitions/create POST
/api/3.0/mlflow/gateway/model-definitions/delete DELETE
/api/3.0/mlflow/gateway/model-definitions/get GET
/api/3.0/mlflow/gateway/model-definitions/list GET
/api/3.0/mlflow/gateway/model-definitions/update POST
/api/3.0/mlflow/gateway/secrets/create POST
/api/3.0/mlflow/gateway/secrets/delete DELETE
/api/3.0/mlflow/gateway/secrets/get GET
/api/3.0/mlflow/gateway/secrets/list GET
/api/3.0/mlflow/gateway/secrets/update POST
/api/3.0/mlflow/prompt-optimization/jobs POST
/api/3.0/mlflow/prompt-optimization/jobs/search GET POST
/api/3.0/mlflow/prompt-optimization/jobs/{job_id} DELETE GET
/api/3.0/mlflow/prompt-optimization/jobs/{job_id}/cancel POST
/gateway/anthropic/v1/messages POST
/gateway/gemini/v1beta/models/{endpoint_name}:generateContent POST
/gateway/gemini/v1beta/models/{endpoint_name}:streamGenerateContent POST
/gateway/mlflow/v1/chat/completions POST
/gateway/mlflow/v1/models GET
/gateway/openai/v1/chat/completions POST
/gateway/openai/v1/embeddings POST
/gateway/openai/v1/responses POST
/gateway/openai/v1/responses/compact POST
/gateway/proxy/{endpoint_name}/{path} POST
/gateway/typesafe/v1/systemone POST
/gateway/{endpoint_name}/mlflow/invocations POST
"""

# Of the whole server rather than of a team.
OF_THE_WHOLE_SERVER = """
/api/2.0/mlflow/artifacts/presigned-download-url POST
/api/2.0/mlflow/artifacts/presigned-upload-url POST
/api/3.0/mlflow/workspaces GET POST
/api/3.0/mlflow/workspaces/{workspace_name} DELETE GET PATCH
"""

# Lies in no experiment or in several, or links what does, so whose it is cannot be told.
LIES_IN_NO_EXPERIMENT = """
/api/2.0/mlflow/traces/link-prompts POST
/api/3.0/mlflow/datasets/create POST
/api/3.0/mlflow/datasets/search GET POST
/api/3.0/mlflow/datasets/{dataset_id} DELETE GET
/api/3.0/mlflow/datasets/{dataset_id}/add-experiments POST
/api/3.0/mlflow/datasets/{dataset_id}/experiment-ids GET
/api/3.0/mlflow/datasets/{dataset_id}/records DELETE GET POST
/api/3.0/mlflow/datasets/{dataset_id}/remove-experiments POST
/api/3.0/mlflow/datasets/{dataset_id}/tags PATCH
/api/3.0/mlflow/datasets/{dataset_id}/tags/{key} DELETE
/api/3.0/mlflow/issues POST
/api/3.0/mlflow/issues/search POST
/api/3.0/mlflow/issues/{issue_id} GET PATCH
/api/3.0/mlflow/label-schemas/create POST
/api/3.0/mlflow/label-schemas/delete DELETE
/api/3.0/mlflow/label-schemas/get GET
/api/3.0/mlflow/label-schemas/get-by-name GET
/api/3.0/mlflow/label-schemas/list GET
/api/3.0/mlflow/label-schemas/update PATCH
/api/3.0/mlflow/mcp-servers GET POST
/api/3.0/mlflow/mcp-servers/endpoints GET
/api/3.0/mlflow/mcp-servers/{name} DELETE GET PATCH
/api/3.0/mlflow/mcp-servers/{name}/aliases POST
/api/3.0/mlflow/mcp-servers/{name}/aliases/{alias} DELETE GET
/api/3.0/mlflow/mcp-servers/{name}/endpoints GET POST
/api/3.0/mlflow/mcp-servers/{name}/endpoints/{endpoint_id} DELETE GET PATCH
/api/3.0/mlflow/mcp-servers/{name}/tags POST
/api/3.0/mlflow/mcp-servers/{name}/tags/{key} DELETE
/api/3.0/mlflow/mcp-servers/{name}/versions GET POST
/api/3.0/mlflow/mcp-servers/{name}/versions/{version} DELETE GET PATCH
/api/3.0/mlflow/mcp-servers/{name}/versions/{version}/tags POST
/api/3.0/mlflow/mcp-servers/{name}/versions/{version}/tags/{key} DELETE
/api/3.0/mlflow/review-queues/create POST
/api/3.0/mlflow/review-queues/delete POST
/api/3.0/mlflow/review-queues/get GET
/api/3.0/mlflow/review-queues/get-by-name GET
/api/3.0/mlflow/review-queues/get-or-create-user POST
/api/3.0/mlflow/review-queues/items/add POST
/api/3.0/mlflow/review-queues/items/list GET
/api/3.0/mlflow/review-queues/items/remove POST
/api/3.0/mlflow/review-queues/items/set-status POST
/api/3.0/mlflow/review-queues/list GET
/api/3.0/mlflow/review-queues/update POST
/api/3.0/mlflow/scorers/delete DELETE
/api/3.0/mlflow/scorers/get GET
/api/3.0/mlflow/scorers/list GET
/api/3.0/mlflow/scorers/online-config PUT
/api/3.0/mlflow/scorers/online-configs GET
/api/3.0/mlflow/scorers/register POST
/api/3.0/mlflow/scorers/versions GET
"""

REFUSED = PAGES_ONLY + REACHES_BEYOND + OF_THE_WHOLE_SERVER + LIES_IN_NO_EXPERIMENT

# Fields of the calls that pass which name nothing that could belong to somebody else. `name` and `source` do so for
# registered models only, `path` for files; `assessment_id`, `overrides` and `span_id` are looked for only within the
# trace named beside.
NAMES_NOTHING = """
aggregation_type alias allow_partial archive_existing_versions artifact_directory_path artifact_location ascending
assessment_id assessment_name base_filter bool_value bytes_value client_request_id code create_time dataset_digest
dataset_name deployment_job_id description digest dimensions double_value dropped_attributes_count
dropped_events_count dropped_links_count end_step end_time end_time_ms end_time_unix_nano error_code error_message
etag execution_duration field_name filter filter_string1 filter_string2 filters flags full_table_name int_value
issue_name key key_strindex kind last_update_time max_results max_timestamp_millis max_traces message metadata
metric_key metric_name model_json model_type name new_name num_parts order_by overrides page_token parent_span_id
part_number path percentile_value profile rationale request request_preview request_time response response_preview
run_link run_name run_view_type schema serialization_format source source_id source_type span_id stack_trace stage
stages start_step start_time start_time_ms start_time_unix_nano state status step string_value string_value_strindex
tag_key tags time_interval_seconds time_unix_nano timestamp timestamp_ms trace_metadata trace_state type update_mask
upload_id url user_id valid value version view_type
"""
