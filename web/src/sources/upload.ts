import { ApiError } from '../api/client';
import { reachability } from '../api/reachability';
import type { Task } from '../api/types';

export interface Aggregation {
  sourceId: string;
  kind: 'accounts' | 'entitlements';
  file: File;
  disableOptimization: boolean;
  allowDeletions: number;
}

const kinds = { accounts: 'CLOUD_ACCOUNT_AGGREGATION', entitlements: 'CLOUD_GROUP_AGGREGATION' } as const;

/** Uploads a file and launches its aggregation; fetch cannot tell how far an upload is. */
export function aggregate(aggregation: Aggregation, onProgress: (share: number) => void): Promise<Task> {
  const { sourceId, kind, file, disableOptimization, allowDeletions } = aggregation;
  const launch = {
    type: kinds[kind],
    sourceId,
    arguments: { ...(disableOptimization && { disableOptimization }), ...(allowDeletions > 0 && { allowDeletions }) },
  };
  const form = new FormData();
  form.append('launch', JSON.stringify(launch));
  form.append('file', file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/stint/v1/tasks');
    request.setRequestHeader('Stint-Console', '1');
    request.responseType = 'json';
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(event.total, 1));
    request.onload = () => {
      reachability.heard();
      if (request.status === 202) resolve(request.response as Task);
      else reject(refusal(request));
    };
    request.onerror = () => {
      reachability.missed();
      reject(new ApiError(0, 'The upload broke off: the server cannot be reached.'));
    };
    request.send(form);
  });
}

function refusal(request: XMLHttpRequest): ApiError {
  const body = request.response as { causes?: { text: string }[]; error?: string } | null;
  const text =
    body?.causes?.map((cause) => cause.text).join(' ') ?? body?.error ?? `The server answered ${request.status}.`;
  return new ApiError(request.status, text, request.getResponseHeader('X-Request-Id') ?? '');
}
