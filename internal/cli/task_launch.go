package cli

import (
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

// launchFlags describe a task to launch; stint exec has them too.
type launchFlags struct {
	kind, name, description, parent, source, launcher string
	targetID, targetName, targetType                  string
	arguments, attributes                             []string
	heartbeatLimit                                    time.Duration
	key, executor                                     string
}

func (f *launchFlags) add(s *session, cmd *cobra.Command, conn *connection) {
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "type", "", "the task's type, such as IDENTITY_REFRESH, or a definition's display name (required)")
	flags.StringVar(&f.name, "name", "", "name of this task")
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringVar(&f.parent, "parent", "", "name of what it belongs to")
	flags.StringVar(&f.source, "source", "", "id of the source that it works on")
	flags.StringVar(&f.launcher, "launcher", f.launcher, "who or what launches it")
	flags.StringVar(&f.targetID, "target-id", "", "id of what it works on")
	flags.StringVar(&f.targetName, "target-name", "", "name of what it works on")
	flags.StringVar(&f.targetType, "target-type", "", "APPLICATION or IDENTITY")
	flags.StringArrayVar(&f.arguments, "arg", nil, "an argument: name=text, or name:=JSON; repeatable")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "an attribute: name=text, or name:=JSON; repeatable")
	flags.DurationVar(&f.heartbeatLimit, "heartbeat-limit", 0, "silence after which it is taken for lost (server's default: 60s)")
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes(s, conn))
	_ = cmd.RegisterFlagCompletionFunc("target-type", fixed("APPLICATION", "IDENTITY"))
}

func (f *launchFlags) request() (client.LaunchRequest, error) {
	launch := client.LaunchRequest{
		Type: f.kind, UniqueName: f.name, Description: f.description, ParentName: f.parent,
		Launcher: f.launcher, SourceID: f.source, IdempotencyKey: f.key, Executor: f.executor,
	}
	if f.kind == "" {
		return launch, usagef("--type is required, such as --type IDENTITY_REFRESH")
	}
	if f.heartbeatLimit != 0 {
		if f.heartbeatLimit < time.Second || f.heartbeatLimit > 24*time.Hour {
			return launch, usagef("--heartbeat-limit %s: 1s to 24h", f.heartbeatLimit)
		}
		launch.HeartbeatLimitSeconds = int((f.heartbeatLimit + time.Second - 1) / time.Second)
	}
	if f.targetID != "" || f.targetName != "" || f.targetType != "" {
		launch.Target = &client.Target{ID: f.targetID, Name: f.targetName, Type: f.targetType}
	}
	var err error
	if launch.Arguments, err = assignments("arg", f.arguments); err != nil {
		return launch, err
	}
	launch.Attributes, err = assignments("attribute", f.attributes)
	return launch, err
}

func newTaskLaunchCommand(s *session, conn *connection) *cobra.Command {
	f := &launchFlags{}
	var wait bool
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "launch --type TYPE",
		Short: "Launch a task and print its id",
		Example: "  stint task launch --type IDENTITY_REFRESH --name nightly --arg full:=true\n" +
			"  stint task launch --type \"Cloud Account Aggregation\" --source 2c91… --wait",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			launch, err := f.request()
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			launched, err := c.Launch(cmd.Context(), launch)
			if err != nil {
				return err
			}
			if output.value == "json" {
				err = s.writeIndented(launched.Raw())
			} else {
				err = s.println(launched.ID)
			}
			if err != nil || !wait {
				return err
			}
			t, err := s.waitForTask(cmd.Context(), c, launched.ID, 0)
			if err != nil {
				return err
			}
			return s.verdict(t)
		},
	}
	f.add(s, cmd, conn)
	cmd.Flags().StringVar(&f.key, "idempotency-key", "", "launching again with the same key is harmless")
	cmd.Flags().StringVar(&f.executor, "executor", "", "who runs it: builtin (the server) or external (who reports); default: the server, where it can")
	_ = cmd.RegisterFlagCompletionFunc("executor", fixed(client.ExecutorBuiltIn, client.ExecutorExternal))
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it ends; the exit status is then that of stint task wait")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}
