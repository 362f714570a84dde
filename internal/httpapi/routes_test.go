package httpapi_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"stint/api"
	"stint/internal/httpapi"
)

func TestRoutesAreThoseOfTheDescription(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			// HEAD goes wherever GET does and is no route of its own.
			if method == "HEAD" {
				if item.Get == nil {
					t.Errorf("%s has HEAD without GET", path)
				}
				continue
			}
			if method == "GET" && item.Head == nil {
				t.Errorf("%s has GET without HEAD", path)
			}
			described[method+" "+path] = op.OperationID
		}
	}
	registered := map[string]string{}
	for _, route := range httpapi.Routes() {
		registered[route.Method+" "+route.Path] = route.OperationID
	}
	if diff := cmp.Diff(described, registered); diff != "" {
		t.Errorf("routes (-openapi.yaml +registered):\n%s", diff)
	}
}
