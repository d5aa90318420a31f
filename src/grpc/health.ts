/**
 * gRPC's health checking protocol (github.com/grpc/grpc, doc/health-checking.md).
 *
 * Owns which names are known and how watchers hear of changes. Whether a service answers is told
 * by its half of the server.
 */
import { anonymous, GrpcFailure, type GrpcMethod, serverStream, unary } from './declare.ts'

/** How services fare. */
export interface HealthSource {
  /** Whether it answers; undefined where there is no such service. '' is the server as a whole. */
  isServing(service: string): boolean | undefined
  /** Calls when an answer may have changed. Gives what ends that. */
  onChange(changed: () => void): () => void
}

interface Question {
  readonly service: string
}

interface Answer {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'
}

const FILE = { protoFile: 'grpc/health.proto', effect: 'reads', access: anonymous } as const

/** The health service. */
export const healthService = (source: HealthSource): readonly GrpcMethod[] => {
  const statusOf = (service: string): Answer['status'] | undefined => {
    const serves = source.isServing(service)
    if (serves === undefined) return undefined
    return serves ? 'SERVING' : 'NOT_SERVING'
  }
  return [
    unary<Question, Answer>({
      ...FILE,
      ...{ isUnrated: true, isOfAgent: true },
      path: 'grpc.health.v1.Health/Check',
      summary: 'Whether a service answers; the server as a whole where none is named.',
      run({ service }) {
        const status = statusOf(service)
        if (status === undefined) throw new GrpcFailure('NOT_FOUND', 'there is no such service')
        return { status }
      },
    }),
    serverStream<Question, Answer>({
      ...FILE,
      isOfAgent: true,
      path: 'grpc.health.v1.Health/Watch',
      summary: 'The same, and again whenever it changes.',
      run({ service }, call, out) {
        return new Promise(resolve => {
          let told: Answer['status'] | undefined
          const tell = (): void => {
            const status = statusOf(service) ?? 'SERVICE_UNKNOWN'
            if (status !== told) out.send({ status })
            told = status
          }
          const unfollow = source.onChange(tell)
          const over = (): void => {
            unfollow()
            resolve()
          }
          if (call.signal.aborted) over()
          else call.signal.addEventListener('abort', over, { once: true })
          tell()
        })
      },
    }),
  ]
}
