// Sending a file to the server, which keeps it until it is sent with a question. Only XMLHttpRequest tells how far it is.

const PATH = '/api/files';

/** Send a file; `onProgress` gets the part that is there, 0 to 1. Gives the file as the server shows it; throws why not. */
export function upload(blob, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = () => reject(problemOf(request));
    request.open('POST', PATH);
    request.setRequestHeader('Accept', 'application/json');
    request.responseType = 'json';
    request.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener('load', () => (request.status === 201 ? resolve(request.response) : fail()));
    ['error', 'timeout', 'abort'].forEach((end) => request.addEventListener(end, fail));
    signal.addEventListener('abort', () => request.abort());
    request.send(form(blob));
  });
}

/** Have the server forget a file that is not sent. If it does not hear of it, it forgets it in a day. */
export function discard(id) {
  return fetch(`${PATH}/${id}`, { method: 'DELETE' }).catch(() => {});
}

/** Ask if a file is still there. */
export async function isThere({ path }) {
  const response = await fetch(path, { method: 'HEAD' }).catch(() => null);
  return response?.status !== 404;
}

function form(blob) {
  const data = new FormData();
  data.append('file', blob, blob.name || 'file');
  return data;
}

function problemOf({ status, response }) {
  const { code = '', detail = '' } = Object(response);
  return { status, code, detail };
}
