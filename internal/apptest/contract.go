package apptest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"stint/api"
)

var description = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromData(api.OpenAPI())
})

// Check says what in an answer breaks the contract: against the OpenAPI
// description where it knows the path, against the strict decoder, and in the
// headers that all answers share. The request itself may be as wrong as it
// likes. body is as it came, perhaps compressed.
func Check(request *http.Request, response *http.Response, body []byte) error {
	doc, err := description()
	if err != nil {
		return fmt.Errorf("load openapi.yaml: %w", err)
	}
	text, err := plainBody(response.Header, body)
	if err != nil {
		return err
	}
	errs := []error{
		checkRequestID(request, response),
		checkCoding(request, response),
		checkHardened(request, response),
	}
	bare := request.Method == http.MethodHead || response.StatusCode == http.StatusNotModified || response.StatusCode == http.StatusSeeOther
	switch {
	case bare && len(body) > 0:
		errs = append(errs, fmt.Errorf("a body of %d bytes where none may be", len(body)))
	case !bare && response.Header.Get("Content-Type") != "application/json":
		errs = append(errs, fmt.Errorf("Content-Type is %q", response.Header.Get("Content-Type")))
	}
	route := findRoute(doc, request)
	if response.StatusCode >= 400 {
		errs = append(errs, checkError(route, response, text, bare))
	} else {
		errs = append(errs, checkSuccess(route, request, response, text, bare))
	}
	if route.Operation != nil {
		errs = append(errs, validate(request, response, route, text))
	}
	return errors.Join(errs...)
}

// route is what the description says of a request: Operation is nil where it
// knows the path but not the method, PathItem too where it knows neither.
type route struct {
	routers.Route
	params map[string]string
}

func findRoute(doc *openapi3.T, request *http.Request) route {
	path := strings.TrimSuffix("/"+strings.TrimLeft(request.URL.EscapedPath(), "/"), "/")
	found := route{Route: routers.Route{Spec: doc, Method: request.Method}}
	for template, item := range doc.Paths.Map() {
		params, ok := matchPath(template, path)
		// A path without variables is closer than one with.
		if !ok || (found.PathItem != nil && len(params) > len(found.params)) {
			continue
		}
		found.Path, found.PathItem, found.params = template, item, params
		found.Operation = item.GetOperation(request.Method)
	}
	return found
}

func matchPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, segment := range want {
		plain, err := url.PathUnescape(got[i])
		if strings.HasPrefix(segment, "{") && got[i] != "" {
			params[strings.Trim(segment, "{}")] = got[i]
		} else if err != nil || segment != plain {
			return nil, false
		}
	}
	return params, true
}

func validate(request *http.Request, response *http.Response, route route, text []byte) error {
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	request = request.Clone(context.Background())
	if request.Method == http.MethodHead {
		// The validator skips HEAD altogether; its headers are those of GET.
		request.Method = http.MethodGet
		options.ExcludeResponseBody = true
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, PathParams: route.params, Route: &route.Route, Options: options,
		},
		Status: response.StatusCode, Header: response.Header, Options: options,
	}
	input.SetBodyBytes(text)
	if err := openapi3filter.ValidateResponse(request.Context(), input); err != nil {
		return fmt.Errorf("against openapi.yaml: %w", err)
	}
	return nil
}

func checkRequestID(request *http.Request, response *http.Response) error {
	id, asked := response.Header.Get("X-Request-Id"), request.Header.Get("X-Request-Id")
	if !trackingForm.MatchString(id) {
		return fmt.Errorf("X-Request-Id is %q", id)
	}
	if trackingForm.MatchString(asked) && id != asked {
		return fmt.Errorf("X-Request-Id is %q, asked was %q", id, asked)
	}
	return nil
}

// checkHardened looks for the headers that keep browsers and caches from doing
// harm with an answer.
func checkHardened(request *http.Request, response *http.Response) error {
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	}
	for name, value := range want {
		if got := response.Header.Get(name); got != value {
			return fmt.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	reads := request.Method == http.MethodGet || request.Method == http.MethodHead
	if got := response.Header.Get("Cache-Control"); got != "no-store" && (got != "private, no-cache" || !reads) {
		return fmt.Errorf("Cache-Control is %q", got)
	}
	return nil
}

func checkCoding(request *http.Request, response *http.Response) error {
	switch coding := response.Header.Get("Content-Encoding"); coding {
	case "":
		return nil
	case "gzip":
		if !strings.Contains(request.Header.Get("Accept-Encoding"), "gzip") {
			return errors.New("compressed for a client that did not ask for it")
		}
		if !strings.Contains(strings.Join(response.Header.Values("Vary"), ","), "Accept-Encoding") {
			return errors.New("compressed, but Vary does not name Accept-Encoding")
		}
		return nil
	default:
		return fmt.Errorf("Content-Encoding is %q", coding)
	}
}

func plainBody(header http.Header, body []byte) ([]byte, error) {
	if header.Get("Content-Encoding") != "gzip" || len(body) == 0 {
		return body, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return text, nil
}

func checkError(route route, response *http.Response, text []byte, bare bool) error {
	var errs []error
	switch response.StatusCode {
	case http.StatusMethodNotAllowed:
		errs = append(errs, checkAllow(route, response))
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if response.Header.Get("Retry-After") == "" {
			errs = append(errs, errors.New("Retry-After is missing"))
		}
	}
	if bare {
		return errors.Join(errs...)
	}
	if isOAuthError(route, response.StatusCode) {
		return errors.Join(append(errs, DecodeOAuthError(text, response.StatusCode))...)
	}
	if challenge := response.Header.Get("WWW-Authenticate"); (response.StatusCode == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Bearer ") {
		errs = append(errs, fmt.Errorf("WWW-Authenticate is %q", challenge))
	}
	report := route.Operation != nil && route.Operation.OperationID == "reportTask"
	if err := DecodeError(text, response.StatusCode, report); err != nil {
		return errors.Join(append(errs, err)...)
	}
	v, err := parse(text)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	object, _ := v.(map[string]any)
	if id, there := object["trackingId"]; there && id != response.Header.Get("X-Request-Id") {
		errs = append(errs, fmt.Errorf("trackingId is %s, X-Request-Id %q", show(id), response.Header.Get("X-Request-Id")))
	}
	return errors.Join(errs...)
}

// isOAuthError tells the errors of the sign-in that have the form of RFC 6749.
func isOAuthError(route route, status int) bool {
	return route.Operation != nil && route.Operation.OperationID == "issueToken" && slices.Contains([]int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
	}, status)
}

func checkAllow(route route, response *http.Response) error {
	if route.PathItem == nil {
		return errors.New("405 for a path that openapi.yaml does not know")
	}
	var want []string
	for method := range route.PathItem.Operations() {
		want = append(want, method)
	}
	slices.Sort(want)
	got := strings.Split(response.Header.Get("Allow"), ", ")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("header Allow is %q, want %q", got, want)
	}
	if slices.Contains(got, route.Method) {
		return fmt.Errorf("405 for %s, which openapi.yaml allows", route.Method)
	}
	return nil
}

func checkSuccess(route route, request *http.Request, response *http.Response, text []byte, bare bool) error {
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotModified && !leads(route) {
		return fmt.Errorf("a redirect to %q", response.Header.Get("Location"))
	}
	if route.Operation == nil {
		return errors.New("openapi.yaml does not know this")
	}
	var errs []error
	id := route.Operation.OperationID
	if counted := isCounted(request.URL.RawQuery); isList(id) && counted != (response.Header.Get("X-Total-Count") != "") {
		errs = append(errs, fmt.Errorf("X-Total-Count is %q where count is %v", response.Header.Get("X-Total-Count"), counted))
	}
	if response.StatusCode == http.StatusNotModified && response.Header.Get("ETag") == "" {
		errs = append(errs, errors.New("304 without ETag"))
	}
	if !bare {
		errs = append(errs, decodeSuccess(id, text))
	}
	return errors.Join(errs...)
}

// leads tells the only resources that redirect: to the identity provider, and back.
func leads(route route) bool {
	return route.Operation != nil && strings.HasSuffix(strings.TrimSuffix(route.Operation.OperationID, "Headers"), "Provider")
}

func isList(operationID string) bool {
	for _, list := range []string{"listTasks", "listSources", "listAccounts", "listEntitlements", "listTaskChanges", "listTokens", "listApplications", "listAudit", "listWebhooks", "listDeliveries"} {
		if strings.HasPrefix(operationID, list) {
			return true
		}
	}
	return isStatusList(operationID)
}

func isStatusList(operationID string) bool {
	return strings.HasPrefix(operationID, "getTaskStatusList") || strings.HasPrefix(operationID, "getPendingTask")
}

func isCounted(rawQuery string) bool {
	query, err := url.ParseQuery(rawQuery)
	return err == nil && strings.EqualFold(query.Get("count"), "true")
}

func decodeSuccess(operationID string, text []byte) error {
	switch {
	case operationID == "listTasks":
		return DecodeStintList(text)
	case operationID == "listSources":
		return DecodeSourceList(text)
	case isStatusList(operationID):
		return DecodeList(text)
	case strings.HasPrefix(operationID, "getTaskStatus"), strings.HasPrefix(operationID, "updateTaskStatus"):
		return DecodeTaskStatus(text)
	case strings.HasPrefix(operationID, "importAccounts"):
		return DecodeAccountsLoading(text)
	case strings.HasPrefix(operationID, "importEntitlements"):
		return DecodeLegacyTask(text)
	case strings.HasPrefix(operationID, "getAccountAggregationStatus"):
		return DecodeAggregationStatus(text)
	}
	switch operationID {
	case "launchTask":
		return DecodeStintTask(text, Launched)
	case "getTask":
		return DecodeStintTask(text, WithHistory)
	case "cancelTask", "waitForTask":
		return DecodeStintTask(text, Plain)
	case "clearTasks":
		return DecodeCleared(text)
	case "reportTask":
		return DecodeReportAnswer(text)
	case "getSession", "startSession":
		return decodeSession(text)
	case "endSession", "listSessionWays":
		return decodeSessionWays(text)
	case "getStatistics":
		return DecodeStatistics(text)
	case "getLatestRuns":
		return DecodeLatestRuns(text)
	case "listDefinitions":
		return DecodeDefinitions(text)
	case "createSource", "getSource", "patchSource":
		return DecodeSource(text)
	case "deleteSource":
		return DecodeSourceDeletion(text)
	case "listAccounts":
		return DecodeAccountList(text)
	case "getAccount":
		return DecodeAccount(text)
	case "listEntitlements":
		return DecodeEntitlementList(text)
	case "getEntitlement":
		return DecodeEntitlement(text)
	case "listAudit":
		return DecodeAuditList(text)
	case "getAuditEntry":
		return DecodeAuditEntry(text)
	case "listTaskChanges":
		return DecodeChanges(text)
	case "listWebhooks":
		return DecodeWebhookList(text)
	case "getWebhook", "patchWebhook", "deleteWebhook":
		return DecodeWebhook(text, false)
	case "createWebhook", "rotateWebhook":
		return DecodeWebhook(text, true)
	case "listDeliveries":
		return DecodeDeliveryList(text)
	case "testWebhook", "redeliver":
		return DecodeDelivery(text)
	}
	return decodeAuth(operationID, text)
}

// targetURL reads a request target as loosely as the tests write it: what is no
// URL is still a path and a query.
func targetURL(target string) *url.URL {
	path, query, _ := strings.Cut(target, "?")
	u := &url.URL{Path: path, RawQuery: query}
	if unescaped, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = unescaped, path
	}
	return u
}
