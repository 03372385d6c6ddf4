/** Errors to branch on. */

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.js";

export { Code };

/** A field that a rule refuses. */
export interface FieldViolation {
  /** Path of the field in the request, such as `lines[0].quantity`. */
  readonly field: string;
  /** What is wrong with it, for people. */
  readonly description: string;
}

/**
 * A call that did not succeed.
 *
 * Branch on `reason`; it is empty where no server of Stockward has answered. After UNAVAILABLE and DEADLINE_EXCEEDED it
 * is not known whether a mutation took effect: send it again with this `requestId`.
 */
export class StockwardError extends Error {
  override readonly name = "StockwardError";
  /** The gRPC code. */
  readonly code: Code;
  /** A value of an `ErrorReason` of the contract without its prefix, such as `INSUFFICIENT_STOCK`. */
  readonly reason: string;
  /** What the reason speaks of, such as `sku` and `available`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields at fault, for INVALID_ARGUMENT. */
  readonly fieldViolations: readonly FieldViolation[];
  /** Seconds after which the call may succeed, where the server knows. */
  readonly retryAfter: number | undefined;
  /** request_id of the mutation, also where the client made it; else empty. */
  readonly requestId: string;

  private constructor(error: ConnectError, requestId: string, cancelled: boolean) {
    super(error.rawMessage, { cause: error });
    const [info] = error.findDetails(ErrorInfoSchema);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    this.code = !info && isLost(error, cancelled) ? Code.Unavailable : error.code;
    this.reason = info?.reason ?? "";
    this.metadata = info?.metadata ?? {};
    this.fieldViolations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
    this.retryAfter = delay && Number(delay.seconds) + delay.nanos / 1e9;
    this.requestId = requestId;
  }

  /** What a call has thrown, as a StockwardError; `signal` is the caller's own. */
  static from(cause: unknown, signal?: AbortSignal, requestId = ""): StockwardError {
    if (cause instanceof StockwardError) return cause;
    return new StockwardError(ConnectError.from(cause), requestId, signal?.aborted ?? false);
  }
}

/**
 * Whether the connection broke, rather than a server having answered.
 *
 * Node.js reports it by an error of the socket, or as if the call had been cancelled; a browser by the TypeError of fetch.
 */
function isLost(error: ConnectError, cancelled: boolean): boolean {
  const { cause } = error;
  if (error.code === Code.Canceled) return !cancelled;
  return cause instanceof TypeError || (cause instanceof Error && "code" in cause && SOCKET.test(String(cause.code)));
}

const SOCKET = /^(ERR_HTTP2|ERR_STREAM|ECONN|EPIPE|ETIMEDOUT)/;
