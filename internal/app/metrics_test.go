package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"stint/client"
	"stint/internal/apptest"
)

// scrape reads the metrics of a server, by name and labels.
func scrape(t *testing.T, server *apptest.Server) (page string, values map[string]string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.App.OpsURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v", answer.Status, err)
	}
	values = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			values[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return string(text), values
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres %v", postgres), func(t *testing.T) {
			t.Parallel()
			server := apptest.Start(t, apptest.Options{Postgres: postgres})
			c, err := client.New(server.URL, client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				l, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
				if err != nil {
					t.Fatal(err)
				}
				if i > 0 {
					continue
				}
				if _, err := c.Report(t.Context(), l.ID, l.ReportToken, client.Report{Attempt: 1, CompletionStatus: client.Failure}); err != nil {
					t.Fatal(err)
				}
			}
			for _, target := range []string{"/nothing/here/" + strings.Repeat("7", 32), "/task-status/v1/" + strings.Repeat("7", 32), "/stint/v1/tasks?filters=x"} {
				server.Send(t, apptest.Request{Method: "GET", Target: target})
			}
			apptest.SendUnchecked(t, server.Addr, apptest.Request{Method: "BREW", Target: "/stint/v1/tasks"})
			page, values := scrape(t, server)
			for name, want := range map[string]string{
				`stint_http_requests_total{code="202",method="POST",route="/stint/v1/tasks"}`:      "3",
				`stint_http_requests_total{code="400",method="GET",route="/stint/v1/tasks"}`:       "1",
				`stint_http_requests_total{code="404",method="GET",route="/task-status/v1/{id}"}`:  "1",
				`stint_http_requests_total{code="404",method="GET",route="other"}`:                 "1",
				`stint_http_requests_total{code="405",method="other",route="/stint/v1/tasks"}`:     "1",
				`stint_http_request_duration_seconds_count{method="POST",route="/stint/v1/tasks"}`: "3",
				`stint_http_requests_in_flight`:                                                    "0",
				`stint_tasks_launched_total{type="IDENTITY_REFRESH"}`:                              "3",
				`stint_tasks_launched_total{type="CLOUD_ACCOUNT_AGGREGATION"}`:                     "0",
				`stint_tasks_completed_total{status="ERROR",type="IDENTITY_REFRESH"}`:              "1",
				`stint_tasks_completed_total{status="SUCCESS",type="IDENTITY_REFRESH"}`:            "0",
				`stint_tasks_in_progress{state="queued",type="IDENTITY_REFRESH"}`:                  "2",
				`stint_tasks_in_progress{state="running",type="IDENTITY_REFRESH"}`:                 "0",
				`stint_tasks_in_progress_readable`:                                                 "1",
				`stint_tasks_in_progress_oldest_age_seconds{state="running"}`:                      "0",
				`stint_event_streams`:                         "0",
				`stint_workers`:                               "4",
				`stint_workers_busy`:                          "0",
				`stint_store_errors_total{operation="read"}`:  "0",
				`stint_store_errors_total{operation="write"}`: "0",
			} {
				if values[name] != want {
					t.Errorf("%s is %q, want %s", name, values[name], want)
				}
			}
			for _, there := range []string{"go_goroutines", "process_open_fds", "stint_node_leads", `stint_tasks_in_progress_oldest_age_seconds{state="queued"}`} {
				if values[there] == "" {
					t.Errorf("%s is missing", there)
				}
			}
			if strings.Contains(page, strings.Repeat("7", 32)) {
				t.Error("a label holds what was asked for")
			}
		})
	}
}

// TestMetricsCountStreams: those that are open, and none when they have ended.
func TestMetricsCountStreams(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	c, err := client.New(server.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Events(t.Context(), client.EventOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		_, values := scrape(t, server)
		if values["stint_event_streams"] != "1" || values["stint_http_requests_in_flight"] != "1" {
			t.Errorf("with a stream they are %s and %s", values["stint_event_streams"], values["stint_http_requests_in_flight"])
		}
		break
	}
	if err := server.App.Stop(); err != nil {
		t.Fatal(err)
	}
}
