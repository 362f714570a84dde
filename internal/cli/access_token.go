package cli

import "github.com/spf13/cobra"

func newAccessTokenCommand(s *session) *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:   "access-token",
		Short: "Sign in and print the access token, for other programs to use",
		Long: "Sign in and print the access token, for other programs to use. It is good for as long as the server's\n" +
			"--token-lifetime says, 15 minutes by default.",
		Example: `  curl -s -H "Authorization: Bearer $(stint access-token)" http://127.0.0.1:8080/task-status/v1`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			token, err := c.AccessToken(cmd.Context())
			if err != nil {
				return err
			}
			if token == "" {
				return usagef("there is nothing to sign in with: set STINT_CLIENT_ID and STINT_CLIENT_SECRET, or STINT_PROFILE")
			}
			return s.println(token)
		},
	}
	conn.addFlags(cmd.Flags())
	return cmd
}
