package examples

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of examples/kubernetes, by kind and name.
type manifests map[string]any

func readManifests(t *testing.T) manifests {
	t.Helper()
	paths, err := filepath.Glob(repository("examples", "kubernetes", "*.yaml"))
	if err != nil || len(paths) < 4 {
		t.Fatal(paths, err)
	}
	found := manifests{}
	for _, path := range paths {
		for text := range strings.SplitSeq(read(t, "examples", "kubernetes", filepath.Base(path)), "\n---\n") {
			var head struct {
				APIVersion, Kind string
				Metadata         struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(text), &head); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			var object any
			switch head.APIVersion + " " + head.Kind {
			case "apps/v1 Deployment":
				object = &apps.Deployment{}
			case "v1 Service":
				object = &core.Service{}
			case "v1 Secret":
				object = &core.Secret{}
			case "policy/v1 PodDisruptionBudget":
				object = &policy.PodDisruptionBudget{}
			case "networking.k8s.io/v1 NetworkPolicy":
				object = &networking.NetworkPolicy{}
			default:
				t.Fatalf("%s: %s %s is not known here", path, head.APIVersion, head.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
				t.Fatalf("%s: %s: %v", path, head.Kind, err)
			}
			key := head.Kind + " " + head.Metadata.Name
			if found[key] != nil || head.Metadata.Name == "" {
				t.Errorf("%s is there twice", key)
			}
			found[key] = object
		}
	}
	return found
}

// get returns an object of a type by its name.
func get[T any](t *testing.T, m manifests, key string) *T {
	t.Helper()
	object, ok := m[key].(*T)
	if !ok {
		t.Fatalf("there is no %s, but %q", key, slices.Sorted(maps.Keys(m)))
	}
	return object
}

func nodes(t *testing.T, m manifests) []*apps.Deployment {
	t.Helper()
	return []*apps.Deployment{get[apps.Deployment](t, m, "Deployment stint-api"), get[apps.Deployment](t, m, "Deployment stint-worker")}
}

// asProcess returns what the container of a deployment runs.
func asProcess(d *apps.Deployment) process {
	c := d.Spec.Template.Spec.Containers[0]
	p := process{name: d.Name, args: c.Args, env: map[string]string{}}
	for _, e := range c.Env {
		p.env[e.Name] = e.Value
	}
	return p
}

func covers(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func TestKubernetesDeployments(t *testing.T) {
	m := readManifests(t)
	secret := get[core.Secret](t, m, "Secret stint")
	for _, d := range nodes(t, m) {
		spec, labels := d.Spec.Template.Spec, d.Spec.Template.Labels
		p := asProcess(d)
		if !covers(d.Spec.Selector.MatchLabels, labels) {
			t.Errorf("%s does not select its own pods", d.Name)
		}
		for _, c := range spec.TopologySpreadConstraints {
			if !covers(c.LabelSelector.MatchLabels, labels) {
				t.Errorf("%s spreads other pods than its own", d.Name)
			}
		}
		if budget := get[policy.PodDisruptionBudget](t, m, "PodDisruptionBudget "+d.Name); !covers(budget.Spec.Selector.MatchLabels, labels) || *d.Spec.Replicas < 2 {
			t.Errorf("the budget of %s is of other pods, or of one alone", d.Name)
		}
		if grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second; grace < p.stops(t)+10*time.Second {
			t.Errorf("%s is killed after %v, and may take %v to stop", d.Name, grace, p.stops(t))
		}
		if s := spec.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || *s.FSGroup == 0 {
			t.Errorf("%s runs as root", d.Name)
		}
		c := spec.Containers[0]
		if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%s may do more than it needs", d.Name)
		}
		if *spec.Volumes[0].Secret.DefaultMode != 0o440 || spec.Volumes[0].Secret.SecretName != secret.Name || c.VolumeMounts[0].Name != spec.Volumes[0].Name {
			t.Errorf("%s mounts its secret as %o", d.Name, *spec.Volumes[0].Secret.DefaultMode)
		}
		for _, name := range []string{"STINT_DB_FILE", "STINT_KEY_FILE"} {
			if key := filepath.Base(p.env[name]); secret.StringData[key] == "" || filepath.Dir(p.env[name]) != c.VolumeMounts[0].MountPath {
				t.Errorf("%s is %s, which the secret does not hold", name, p.env[name])
			}
		}
		if p.env["STINT_PUBLIC_URL"] == "" {
			t.Errorf("%s has no public URL", d.Name)
		}
	}
}

// TestKubernetesPorts follows the names of ports to where the program listens.
func TestKubernetesPorts(t *testing.T) {
	m := readManifests(t)
	for _, d := range nodes(t, m) {
		p, c := asProcess(d), d.Spec.Template.Spec.Containers[0]
		ports := map[string]int32{}
		for _, port := range c.Ports {
			ports[port.Name] = port.ContainerPort
		}
		for flag, port := range map[string]string{"ops-listen": "ops", "listen": "http"} {
			if address := p.flag(flag); address != "" && address != fmt.Sprintf(":%d", ports[port]) {
				t.Errorf("%s: --%s %s is not the port %s, %d", d.Name, flag, address, port, ports[port])
			}
		}
		for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "ops" {
				t.Errorf("%s: the probe of %s asks %s", d.Name, path, probe.HTTPGet)
			}
		}
	}
	service := get[core.Service](t, m, "Service stint")
	for _, d := range nodes(t, m) {
		serves := asProcess(d)
		if got, want := covers(service.Spec.Selector, d.Spec.Template.Labels), serves.flag("role") != "worker"; got != want {
			t.Errorf("the service selects %s: %v", d.Name, got)
		}
	}
	if target := service.Spec.Ports[0].TargetPort.StrVal; target != "http" {
		t.Errorf("the service leads to %s", target)
	}
	open := get[networking.NetworkPolicy](t, m, "NetworkPolicy stint")
	if ports := open.Spec.Ingress[0].Ports; len(ports) != 1 || ports[0].Port.IntVal != 8080 {
		text, _ := json.Marshal(ports)
		t.Errorf("the policy opens %s", text)
	}
}

// TestKubernetesStarts runs the nodes as their containers would.
func TestKubernetesStarts(t *testing.T) {
	var processes []process
	for _, d := range nodes(t, readManifests(t)) {
		for range *d.Spec.Replicas {
			processes = append(processes, asProcess(d))
		}
	}
	all(t, processes)
}
