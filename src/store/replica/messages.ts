/**
 * What a replica and the server that it follows say to each other; see
 * proto/gatehouse/agent/v1/view.proto, of which these are the types in the program.
 *
 * Owns no behaviour.
 */

/** Which state of a store somebody has seen. */
export interface ViewHello {
  readonly clusterId: string
  readonly generation: number
  readonly revision: number
}

export interface ViewSubscription {
  /** Chosen by the follower, not used twice on one stream. */
  readonly id: number
  readonly kind: string
  /** The interest's name as bytes. */
  readonly name: Buffer
  /** In whose name: a secret; empty for nobody's. */
  readonly token: string
  /** The revision of what the follower has of it, whole; 0 for nothing. */
  readonly since: number
}

export interface ViewRequest {
  /** In the first message alone. */
  readonly hello?: ViewHello | null
  readonly subscribe: readonly ViewSubscription[]
  readonly unsubscribe: readonly number[]
  /** Asks for a state that shows all that was acknowledged before; 0 for nothing. */
  readonly confirm: number
}

/**
 * `WHOLE`: what the follower has of it is replaced; `CHANGE`: the parts in it are, or it goes on
 * with a whole one; `SAME`: nothing changed since; `REFUSED`: nothing is told of it.
 */
export type ViewState = 'WHOLE' | 'CHANGE' | 'SAME' | 'REFUSED'

export interface ViewUpdate {
  readonly id: number
  readonly state: ViewState
  /** Whether there may be rows that the subscriber may not see. */
  readonly isPartial: boolean
  /** Marks and parts (codec.ts). */
  readonly body: Buffer
  /** Of what was refused. */
  readonly status: number
  readonly text: string
}

/** Answers up to one that is the last make the follower's state that of `revision`, as a whole. */
export interface ViewAnswer {
  readonly clusterId: string
  readonly generation: number
  readonly indexOffset: number
  readonly revision: number
  /** Since when the server has not known for sure that its view is the newest. */
  readonly ageMs: number
  readonly isLast: boolean
  readonly updates: readonly ViewUpdate[]
  /** The highest of those wishes that this state meets; 0 for none. */
  readonly confirmed: number
}
