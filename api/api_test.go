package api_test

import (
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"stint/api"
)

// The original's operation ids, for its operations: clients are generated from
// them.
func originalOperations() map[string]string {
	ops := map[string]string{
		"GET /task-status/v1":        "getTaskStatusListV1",
		"GET /task-status/v1/{id}":   "getTaskStatusV1",
		"PATCH /task-status/v1/{id}": "updateTaskStatusV1",
	}
	for path, suffix := range map[string]string{"beta": "Beta", "v2024": "V2024", "v2025": "V2025", "v2026": "V2026"} {
		ops["GET /"+path+"/task-status"] = "getTaskStatusList" + suffix
		ops["GET /"+path+"/task-status/{id}"] = "getTaskStatus" + suffix
		ops["PATCH /"+path+"/task-status/{id}"] = "updateTaskStatus" + suffix
		if path != "v2026" {
			ops["GET /"+path+"/task-status/pending-tasks"] = "getPendingTasks" + suffix
			ops["HEAD /"+path+"/task-status/pending-tasks"] = "getPendingTaskHeaders" + suffix
		}
	}
	return ops
}

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatalf("load openapi.yaml: %v", err)
	}
	return doc
}

func TestDescriptionIsValid(t *testing.T) {
	t.Parallel()
	doc := load(t)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
}

func TestOperationsAreNamedAndAnswer(t *testing.T) {
	t.Parallel()
	doc := load(t)
	want := originalOperations()
	seen := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s lacks an operationId, a summary or a tag", name)
			}
			if other, taken := seen[op.OperationID]; taken {
				t.Errorf("%s and %s are both %s", name, other, op.OperationID)
			}
			seen[op.OperationID] = name
			if id, ok := want[name]; ok && id != op.OperationID {
				t.Errorf("%s is %s, want %s", name, op.OperationID, id)
			}
			delete(want, name)
			for _, status := range []string{"401", "403", "406", "500", "503"} {
				if status == "401" && op.Security != nil && len(*op.Security) == 0 {
					continue // everybody's
				}
				if op.Responses.Value(status) == nil {
					t.Errorf("%s does not say what %s looks like", name, status)
				}
			}
			for status, response := range op.Responses.Map() {
				if response.Value.Headers["X-Request-Id"] == nil {
					t.Errorf("%s %s lacks X-Request-Id", name, status)
				}
			}
		}
	}
	for name, id := range want {
		t.Errorf("%s (%s) is missing", name, id)
	}
}

func TestClosedSchemasStayClosed(t *testing.T) {
	t.Parallel()
	doc := load(t)
	// Open on purpose: RFC 6902 has members of an operation that are not known ignored.
	open := []string{"JsonPatchOperation", "StintTaskWithHistory", "LaunchedTask"}
	for name, schema := range doc.Components.Schemas {
		s := schema.Value
		if len(s.Properties) == 0 || slices.Contains(open, name) {
			continue
		}
		if has := s.AdditionalProperties.Has; has == nil || *has {
			t.Errorf("%s allows members that it does not name", name)
		}
	}
}
