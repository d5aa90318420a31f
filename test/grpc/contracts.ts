/**
 * Methods of contracts that the program does not serve, one of each form, for tests of what all
 * methods have in common.
 */

import { access } from '../../src/base/who.ts'
import {
  type DuplexMethod,
  duplex,
  type GrpcMethod,
  type ServerStreamMethod,
  serverStream,
  type UnaryMethod,
  unary,
} from '../../src/grpc/declare.ts'

const FILE = { protoFile: 'etcd/rpc.proto', summary: 'Of tests.', effect: 'reads' } as const

export interface KeyQuestion {
  readonly key: Buffer
}

const nameOf = ({ key }: KeyQuestion): string => key.toString('utf8')
const keyRead = (request: KeyQuestion) => [access('read', 'key', nameOf(request))]

type Spec<M extends GrpcMethod, Needed extends keyof M> = Pick<M, Needed> & Partial<M>

/** Asks for a key, and whoever may read it. */
export const oneMethod = (
  spec: Spec<UnaryMethod<KeyQuestion, object>, 'run'>,
): UnaryMethod<KeyQuestion, object> =>
  unary({ ...FILE, path: 'etcdserverpb.KV/Range', access: keyRead, nameOf, ...spec })

/** The same, for writes. */
export const writeMethod = (
  spec: Spec<UnaryMethod<KeyQuestion, object>, 'run'>,
): UnaryMethod<KeyQuestion, object> =>
  unary({
    ...FILE,
    path: 'etcdserverpb.Cluster/MemberAdd',
    effect: 'writes',
    access: () => [access('write', 'key', 'a')],
    ...spec,
  })

/** One empty question, many answers. */
export const manyMethod = (
  spec: Spec<ServerStreamMethod<object, object>, 'run'>,
): ServerStreamMethod<object, object> =>
  serverStream({
    ...FILE,
    path: 'etcdserverpb.Maintenance/Snapshot',
    access: () => [access('read', 'key', 'a')],
    ...spec,
  })

/** Questions and answers with a number: `{ ID }`. */
export const bothMethod = (
  spec: Spec<DuplexMethod<{ readonly ID: number }, object>, 'open'>,
): DuplexMethod<{ readonly ID: number }, object> =>
  duplex({
    ...FILE,
    path: 'etcdserverpb.Lease/LeaseKeepAlive',
    access: () => [access('read', 'key', 'a')],
    ...spec,
  })
