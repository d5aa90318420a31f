/**
 * Declaring methods between agents, and giving them handlers.
 *
 * A service is two things in `src/rpc/<service>.ts`: its methods as constants, which both ends
 * use (`channels.ts` calls by them), and one function that takes ports and gives the handlers,
 * which `services.ts` lists. Its messages stand in `proto/gatehouse/agent/v1/<service>.proto`; in
 * the program their fields are in camelCase, 64-bit numbers are numbers, bytes are Buffers, enums
 * are their names, and a `oneof` has a field of its own name that says which member is there.
 */
import type {
  Callers,
  RpcCall,
  RpcHandler,
  RpcIn,
  RpcOut,
  RpcPath,
  StreamMethod,
  UnaryMethod,
} from '../base/rpc.ts'

/** Declares a method with one question and one answer. `callers` is who may call it. */
export function defineUnary<Q extends object, A extends object>(
  protoFile: string,
  path: RpcPath,
  callers: Callers,
): UnaryMethod<Q, A> {
  return { form: 'unary', protoFile, path, callers }
}

/** Declares a method that is a stream in both directions. */
export function defineStream<Q extends object, A extends object>(
  protoFile: string,
  path: RpcPath,
  callers: Callers,
): StreamMethod<Q, A> {
  return { form: 'stream', protoFile, path, callers }
}

/** Answers a method. Fails with RpcFailure; the peer was looked at already (`callers`). */
export function handleUnary<Q extends object, A extends object>(
  method: UnaryMethod<Q, A>,
  handle: (request: Q, call: RpcCall) => Promise<A>,
): RpcHandler {
  return { method: method as UnaryMethod<never, A>, handle: handle as unknown as UnaryHandle }
}

/** Answers a stream: `open` gets its sending end and gives who listens. May throw RpcFailure. */
export function handleStream<Q extends object, A extends object>(
  method: StreamMethod<Q, A>,
  open: (call: RpcCall, out: RpcOut<A>) => RpcIn<Q>,
): RpcHandler {
  return { method: method as StreamMethod<never, A>, open: open as unknown as StreamOpen }
}

type UnaryHandle = (request: object, call: RpcCall) => Promise<object>
type StreamOpen = (call: RpcCall, out: RpcOut<object>) => RpcIn<object>
