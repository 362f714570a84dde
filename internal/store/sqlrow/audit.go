package sqlrow

import (
	"time"

	"stint/internal/audit"
)

// AuditColumns are those of an entry, in the order of ScanAudit.
const AuditColumns = `shard, n, link, at, action, actor, client, address, agent, request_id, object, before, after, words, reason`

// ScanAudit reads an entry of the audit.
func ScanAudit(row Scanner) (audit.Recorded, error) {
	var (
		e                    audit.Recorded
		ms                   int64
		link, before, after  []byte
		agent, words, reason []byte
	)
	err := row.Scan(&e.Shard, &e.Number, &link, &ms, &e.Action, &e.Origin.Actor, &e.Origin.Client, &e.Origin.Address,
		&agent, &e.Origin.RequestID, &e.Object, &before, &after, &words, &reason)
	if err != nil {
		return e, err
	}
	e.At, e.Before, e.After = time.UnixMilli(ms).UTC(), before, after
	e.Origin.Agent, e.Words, e.Reason = string(agent), string(words), string(reason)
	// A link of another size is none: nothing equals it.
	if l, err := audit.ParseLink(link); err == nil {
		e.Link = l
	}
	return e, nil
}
