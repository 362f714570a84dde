package apptest

// DecodeAccount says what in data breaks the contract of one account.
func DecodeAccount(data []byte) error { return decode(data, anAccount) }

// DecodeAccountList says what in data breaks the contract of a list of accounts.
func DecodeAccountList(data []byte) error {
	return decode(data, inAll(anArray(anAccount), noIDTwice))
}

// DecodeEntitlement says what in data breaks the contract of one entitlement.
func DecodeEntitlement(data []byte) error { return decode(data, anEntitlement) }

// DecodeEntitlementList says what in data breaks the contract of a list of
// entitlements.
func DecodeEntitlementList(data []byte) error {
	return decode(data, inAll(anArray(anEntitlement), noIDTwice))
}

// DecodeChanges says what in data breaks the contract of the list of what a run
// has changed.
func DecodeChanges(data []byte) error {
	return decode(data, anArray(anObject(map[string]member{
		"change":            {check: oneOf("CREATED", "UPDATED", "DELETED")},
		"attribute":         {check: someText, optional: true},
		"nativeIdentity":    {check: someText},
		"name":              {check: aString},
		"changedAttributes": {check: orNull(inAll(anArray(someText), notEmpty))},
	})))
}

func anAccount(path string, v any) error {
	members := recordMembers()
	members["attributes"] = member{check: anAttributeMap}
	return inAll(anObject(members), modifiedFollowsCreated)(path, v)
}

// anAttributeMap checks texts and arrays of texts by name.
func anAttributeMap(path string, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return breach(path, v, "an object")
	}
	for name, value := range object {
		check := aString
		if _, several := value.([]any); several {
			check = anArray(aString)
		}
		if err := check(path+"/"+name, value); err != nil {
			return err
		}
	}
	return nil
}

func anEntitlement(path string, v any) error {
	members := recordMembers()
	members["attribute"] = member{check: someText}
	members["displayName"] = member{check: someText, optional: true}
	members["description"] = member{check: aString}
	members["attributes"] = member{check: anAttributeMap}
	return inAll(anObject(members), modifiedFollowsCreated)(path, v)
}

func recordMembers() map[string]member {
	return map[string]member{
		"id":             {check: anID},
		"sourceId":       {check: anID},
		"sourceName":     {check: trimmedText},
		"nativeIdentity": {check: someText},
		"name":           {check: aString},
		"created":        {check: aDateTime},
		"modified":       {check: aDateTime},
		"lastChange":     {check: oneOf("CREATED", "UPDATED")},
		"lastTaskId":     {check: anID},
	}
}
