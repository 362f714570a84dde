package task

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a task holds, so that no client can make one too large to
// read. Text is counted in characters, the rest in bytes.
const (
	maxLauncher      = 256
	maxName          = 1024
	maxText          = 4096
	maxProgress      = 1024
	maxMessageText   = 128 << 10
	maxAttributes    = 256 << 10
	maxReturns       = 200
	maxMessages      = 250
	maxMessagesBytes = 1 << 20
	maxParameters    = 100

	// MaxHeartbeatLimit is the longest heartbeat limit a launch may ask for.
	MaxHeartbeatLimit = 24 * time.Hour
)

// DroppedKey is the key of the message that counts those that were not kept.
const DroppedKey = "messages_not_kept"

func checkText(field, s string, limit int) error {
	if strings.ContainsRune(s, 0) {
		return Errorf(IllegalValue, field, "the character U+0000 is not allowed")
	}
	if !utf8.ValidString(s) {
		return Errorf(IllegalValue, field, "is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return Errorf(IllegalValue, field, "%d characters are too many: at most %d", n, limit)
	}
	return nil
}

func checkSize(field string, n int) error {
	if n > maxAttributes {
		return Errorf(IllegalValue, field, "%d bytes are too many: at most %d", n, maxAttributes)
	}
	return nil
}

func checkAttributes(attributes map[string]json.RawMessage) error {
	size := 0
	for name, value := range attributes {
		size += len(name) + len(value)
	}
	return checkSize("attributes", size)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// appendMessages adds messages within the bounds: over them the oldest of the
// least severity go first, and one message counts what is missing.
func (t *Task) appendMessages(more []Message) {
	if len(more) == 0 {
		return
	}
	dropped := 0
	kept := make([]Message, 0, len(t.Messages)+len(more))
	for _, m := range append(append([]Message(nil), t.Messages...), more...) {
		if m.Key == DroppedKey && len(m.Parameters) == 1 {
			dropped += parseCount(m.Parameters[0])
			continue
		}
		kept = append(kept, m)
	}
	size := 0
	for _, m := range kept {
		size += m.size()
	}
	for len(kept) > maxMessages || size > maxMessagesBytes {
		i := leastSevere(kept)
		size -= kept[i].size()
		kept = append(kept[:i], kept[i+1:]...)
		dropped++
	}
	if dropped > 0 {
		kept = append(kept, droppedMessage(dropped))
	}
	t.Messages = kept
}

func (m *Message) size() int {
	n := len(m.Text) + len(m.Key) + 100
	for _, p := range m.Parameters {
		n += len(p)
	}
	return n
}

// leastSevere returns the index of the oldest message of the least severity.
func leastSevere(messages []Message) int {
	best := 0
	for i, m := range messages {
		if severity(m.Type) < severity(messages[best].Type) {
			best = i
		}
	}
	return best
}

func severity(t MessageType) int {
	switch t {
	case MessageError:
		return 2
	case MessageWarn:
		return 1
	case MessageInfo:
		return 0
	}
	return 0
}
