/** The consistency token: with it a client sees its own changes, also in lists that a read replica serves. */

/** Name of the header in which servers return it and clients send it. */
const TOKEN = "stockward-consistency-token";

/** The largest token that was returned to a client. */
export class Consistency {
  /** Empty before the first change. */
  token = "";

  /** Keeps a token if it is larger than that of before. They compare as text. */
  observe(token: string | null): void {
    if (token !== null && token > this.token) this.token = token;
  }

  /** Keeps the token that came with the end of a call, if there is one. */
  note(trailer: Headers): void {
    this.observe(trailer.get(TOKEN));
  }

  /** Adds the token to the headers of a call. */
  send(headers: Headers): void {
    if (this.token && !headers.has(TOKEN)) headers.set(TOKEN, this.token);
  }
}
