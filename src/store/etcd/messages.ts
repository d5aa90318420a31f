/**
 * What is said to etcd and what it answers, as its proto files have it (proto/etcd).
 *
 * Owns the types alone: no call, no rule.
 */

/** A 64-bit number of an answer. */
export interface Int64 {
  toNumber(): number
  toString(): string
  isZero(): boolean
}

/** What every answer begins with: the revision of the whole etcd, others' keys included. */
export interface Header {
  readonly revision: Int64
  readonly clusterId: Int64
  readonly memberId: Int64
}

/** A stored key. */
export interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer
  readonly createRevision: Int64
  readonly modRevision: Int64
  readonly version: Int64
  readonly lease: Int64
}

/** Keys from `key` up to, not including, `rangeEnd`; without an end the one key. */
export interface RangeRequest {
  readonly key: Buffer
  readonly rangeEnd?: Buffer
  readonly limit?: number
  readonly revision?: number
  readonly sortOrder?: 'ASCEND' | 'DESCEND'
  readonly sortTarget?: 'KEY' | 'MOD'
  readonly keysOnly?: boolean
}

/** The keys found, in order; `more` when `limit` cut them off. */
export interface RangeResponse {
  readonly header: Header
  readonly kvs: readonly KeyValue[]
  readonly more: boolean
}

/** Puts one key. */
export interface PutRequest {
  readonly key: Buffer
  readonly value: Buffer
  /** A lease's id in decimal digits. */
  readonly lease?: string
}

/** One operation of a transaction. */
export type RequestOp =
  | { readonly requestPut: PutRequest }
  | { readonly requestDeleteRange: { readonly key: Buffer; readonly rangeEnd?: Buffer } }
  | { readonly requestRange: RangeRequest }
  | { readonly requestTxn: TxnRequest }

/** One condition of a transaction: on a key, or on every key of a range. */
export interface EtcdCompare {
  readonly key: Buffer
  readonly rangeEnd?: Buffer
  readonly target: 'MOD' | 'CREATE'
  readonly result: 'EQUAL' | 'LESS'
  readonly modRevision?: number
  readonly createRevision?: number
}

/** All of `success` when every compare holds, else all of `failure`; one revision. */
export interface TxnRequest {
  readonly compare?: readonly EtcdCompare[]
  readonly success: readonly RequestOp[]
  readonly failure?: readonly RequestOp[]
}

/** Which of the two was done, and what its operations gave. */
export interface TxnResponse {
  readonly header: Header
  readonly succeeded: boolean
  readonly responses: readonly {
    readonly responseRange?: RangeResponse
    readonly responseTxn?: TxnResponse
  }[]
}

/** What to watch, from which revision on. */
export interface WatchCreateRequest {
  readonly key: Buffer
  readonly rangeEnd: Buffer
  readonly startRevision: number
  readonly fragment: true
  readonly progressNotify: true
}

/** A key was put or deleted, at its `modRevision`. */
export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE'
  readonly kv: KeyValue
}

/** Events, or what became of the watch. */
export interface WatchResponse {
  readonly header: Header
  readonly created: boolean
  readonly canceled: boolean
  readonly compactRevision: Int64
  readonly cancelReason: string
  readonly fragment: boolean
  readonly events: readonly WatchEvent[]
}

/** What a member says of itself. */
export interface StatusResponse {
  readonly header: Header
  readonly version: string
  readonly dbSize: Int64
  readonly dbSizeInUse: Int64
  /** 0 before 3.6. */
  readonly dbSizeQuota: Int64
  readonly leader: Int64
  readonly raftIndex: Int64
  readonly raftTerm: Int64
  readonly raftAppliedIndex: Int64
  readonly errors: readonly string[]
  readonly isLearner: boolean
}

/** Asks for the alarms, or takes one back. */
export interface AlarmRequest {
  readonly action: 'GET' | 'DEACTIVATE'
  readonly memberID?: string
  readonly alarm?: AlarmKind | 'NONE'
}

/** The alarms that are raised. */
export interface AlarmResponse {
  readonly alarms: readonly { readonly memberID: Int64; readonly alarm: AlarmKind | 'NONE' }[]
}

/** Full, or found to differ from the other members. */
export type AlarmKind = 'NOSPACE' | 'CORRUPT'

/** A member as the cluster knows it. */
export interface MemberMessage {
  readonly ID: Int64
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
  readonly isLearner: boolean
}

// Written as a type, since an interface is not a record.
/** The methods that we call. */
export type Methods = {
  'etcdserverpb.KV/Range': { request: RangeRequest; answer: RangeResponse }
  'etcdserverpb.KV/Txn': { request: TxnRequest; answer: TxnResponse }
  'etcdserverpb.KV/Compact': { request: { revision: number; physical: boolean }; answer: object }
  'etcdserverpb.Lease/LeaseGrant': {
    request: { TTL: number }
    answer: { ID: Int64; TTL: Int64 }
  }
  'etcdserverpb.Lease/LeaseRevoke': { request: { ID: string }; answer: object }
  'etcdserverpb.Lease/LeaseKeepAlive': { request: { ID: string }; answer: { TTL: Int64 } }
  'etcdserverpb.Watch/Watch': {
    request: { createRequest: WatchCreateRequest }
    answer: WatchResponse
  }
  'etcdserverpb.Maintenance/Status': { request: object; answer: StatusResponse }
  'etcdserverpb.Maintenance/Alarm': { request: AlarmRequest; answer: AlarmResponse }
  'etcdserverpb.Maintenance/Defragment': { request: object; answer: object }
  'etcdserverpb.Maintenance/HashKV': {
    request: { revision: number }
    answer: { header: Header; hash: number; compactRevision: Int64 }
  }
  'etcdserverpb.Maintenance/Snapshot': {
    request: object
    answer: { remainingBytes: Int64; blob: Buffer }
  }
  'etcdserverpb.Maintenance/MoveLeader': { request: { targetID: string }; answer: object }
  'etcdserverpb.Cluster/MemberList': {
    request: { linearizable: boolean }
    answer: { members: readonly MemberMessage[] }
  }
  'etcdserverpb.Cluster/MemberAdd': {
    request: { peerURLs: readonly string[]; isLearner: boolean }
    answer: { member: MemberMessage }
  }
  'etcdserverpb.Cluster/MemberRemove': { request: { ID: string }; answer: object }
  'etcdserverpb.Cluster/MemberUpdate': {
    request: { ID: string; peerURLs: readonly string[] }
    answer: object
  }
  'etcdserverpb.Cluster/MemberPromote': { request: { ID: string }; answer: object }
  'etcdserverpb.Auth/Authenticate': {
    request: { name: string; password: string }
    answer: { token: string }
  }
}
