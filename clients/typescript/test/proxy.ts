/** A connection that loses answers. */

import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Stands before a server. While it `loses`, requests go through and answers do not; `cut` ends every connection. */
export class Proxy {
  loses = false;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => {
    const [host, port] = this.target.split(":");
    const server = connect(Number(port), host);
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket);
      socket.on("close", () => other.destroy()).on("error", () => other.destroy());
    }
    client.on("data", (part) => server.write(part));
    server.on("data", (part) => this.loses || client.write(part));
  });

  constructor(private readonly target: string) {}

  /** Answers its address. */
  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
