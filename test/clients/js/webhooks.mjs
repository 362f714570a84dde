// Verifies messages with the official library of Standard Webhooks: one JSON object a
// line, of a secret, headers and a body; and that what was changed is refused.
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  const hook = new Webhook(secret);
  const refused = [];
  const attempt = (what, text, head) => {
    try {
      hook.verify(text, head);
    } catch {
      refused.push(what);
    }
  };
  attempt('body', body + ' ', headers);
  attempt('id', body, { ...headers, 'webhook-id': headers['webhook-id'] + '0' });
  attempt('time', body, { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 600) });
  let type = '';
  let error = '';
  try {
    type = hook.verify(body, headers).type;
  } catch (e) {
    error = String(e);
  }
  console.log(JSON.stringify({ type, error, refused }));
}
