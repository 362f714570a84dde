package examples

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// promtool runs Prometheus' own tool in the folder of the example.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = repository("examples", "monitoring")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

func TestPrometheusTakesTheExample(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "check", "rules", "rules.yml")
	promtool(t, "test", "rules", "rules_test.yml")
}

// TestEveryAlertIsTested: in rules_test.yml, as one that fires.
func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, "examples", "monitoring", "rules_test.yml")
	alerts := regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(read(t, "examples", "monitoring", "rules.yml"), -1)
	if len(alerts) == 0 {
		t.Fatal("there is no alert")
	}
	for _, alert := range alerts {
		if !strings.Contains(tests, `{alertname="`+alert[1]+`"}`) {
			t.Errorf("%s is not tested", alert[1])
		}
	}
}

// metricName finds the names that an expression may ask for.
var metricName = regexp.MustCompile(`\b(?:stint|go|process)_[a-z_]+\b`)

// TestMetricsThatExamplesName: a server has every one, and its own are named well.
func TestMetricsThatExamplesName(t *testing.T) {
	d := newDeployment(t)
	at := d.serves(t, process{name: "monitored", args: []string{"serve"}, env: map[string]string{
		"STINT_DB": "/var/lib/stint/stint.db", "STINT_KEY_FILE": "/etc/stint/key",
	}})
	_ = fetch(t, at.URL+"/oauth/info")
	page := fetch(t, at.OpsURL+"/metrics")
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Definition string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "examples", "monitoring", "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	asked := []string{read(t, "examples", "monitoring", "rules.yml")}
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" {
			t.Errorf("the panel %d, %q, is there twice or has no title", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			if !metricName.MatchString(target.Expr) && !strings.Contains(target.Expr, "up{") {
				t.Errorf("%s asks for nothing: %s", panel.Title, target.Expr)
			}
			asked = append(asked, target.Expr)
		}
	}
	for _, variable := range dashboard.Templating.List {
		asked = append(asked, variable.Definition)
	}
	names := metricName.FindAllString(strings.Join(asked, "\n"), -1)
	if len(names) < 20 {
		t.Errorf("only %d metrics are asked for", len(names))
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(page) {
			t.Errorf("%s is no metric of a server", name)
		}
	}
	for _, line := range strings.Split(promtoolLint(t, page), "\n") {
		if strings.HasPrefix(line, "stint_") {
			t.Errorf("promtool: %s", line)
		}
	}
}

// promtoolLint returns what Prometheus' tool says of the names of metrics; it fails
// for what is not named by Stint, too.
func promtoolLint(t *testing.T, page string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.CombinedOutput()
	if _, said := errors.AsType[*exec.ExitError](err); err != nil && !said {
		t.Fatal(err)
	}
	return string(out)
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	return string(text)
}
