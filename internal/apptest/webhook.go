package apptest

import "regexp"

var webhookSecretForm = regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{43}=$`)

// DecodeWebhook says what in data breaks the contract of a webhook; with its secret or,
// anywhere else than in the answers that made it, without.
func DecodeWebhook(data []byte, withSecret bool) error { return decode(data, aWebhook(withSecret)) }

// DecodeWebhookList says what in data breaks the contract of a list of webhooks.
func DecodeWebhookList(data []byte) error {
	return decode(data, inAll(anArray(aWebhook(false)), noIDTwice))
}

// DecodeDelivery says what in data breaks the contract of a delivery.
func DecodeDelivery(data []byte) error { return decode(data, aDelivery()) }

// DecodeDeliveryList says what in data breaks the contract of a list of deliveries.
func DecodeDeliveryList(data []byte) error {
	return decode(data, inAll(anArray(aDelivery()), noIDTwice))
}

func aWebhook(withSecret bool) check {
	members := map[string]member{
		"id":             {check: anID},
		"name":           {check: someText},
		"url":            {check: someText},
		"events":         {check: inAll(anArray(oneOf("task.completed", "task.failed")), notEmpty)},
		"filter":         {check: aString},
		"enabled":        {check: aBool},
		"disabledReason": {check: orNull(someText)},
		"created":        {check: aDateTime},
		"modified":       {check: aDateTime},
		"secretRotated":  {check: orNull(aDateTime)},
	}
	if withSecret {
		members["secret"] = member{check: matching(webhookSecretForm, "whsec_ and 32 bytes of base64")}
	}
	return inAll(anObject(members), modifiedFollowsCreated)
}

func aDelivery() check {
	return anObject(map[string]member{
		"id":          {check: anID},
		"webhookId":   {check: anID},
		"taskId":      {check: orNull(anID)},
		"event":       {check: oneOf("task.completed", "task.failed", "webhook.test")},
		"state":       {check: oneOf("pending", "delivered", "failed")},
		"attempts":    {check: aWhole(0, 1<<31)},
		"created":     {check: aDateTime},
		"lastAttempt": {check: orNull(aDateTime)},
		"lastStatus":  {check: orNull(aWhole(100, 999))},
		"lastError":   {check: orNull(someText)},
		"nextAttempt": {check: orNull(aDateTime)},
		"done":        {check: orNull(aDateTime)},
	})
}
