/** The SharedWorker: over HTTP/1.1 a browser opens six connections a host, so all tabs share one stream. */

import { Hub } from "./hub";

const hub = new Hub(location.origin);
(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = ({ ports: [port] }) => hub.attach(port!);
