/**
 * Founding a cluster: which of the servers proposes a plan, and to which plan each agrees.
 *
 * Owns the rules, which hold two founders of one set of servers to be impossible: whoever proposes
 * founds only once all of his plan have agreed, each agrees to one plan at a time, and gives it up
 * only when its maker has taken it back for good. Pure; every change is kept before it is told.
 */

/** A server that founds. */
export interface Founder {
  readonly nodeId: string
  readonly name: string
  /** `host:port` of its RPC. */
  readonly address: string
}

/** What all founders agree to. */
export interface FoundingPlan {
  readonly clusterId: string
  /** The node id of who proposes it. */
  readonly maker: string
  /** By node id. */
  readonly founders: readonly Founder[]
}

/** What a server has said so far; it is kept on its disk. */
export interface FoundingState {
  /** The plan that it agreed to: its own, or another's. */
  readonly agreed: FoundingPlan | undefined
}

export const NOTHING_SAID: FoundingState = { agreed: undefined }

/**
 * The plan that a server is to propose: where it has said nothing yet, knows as many servers as are
 * expected, and has the lowest id of them.
 */
export function planToPropose(
  state: FoundingState,
  self: string,
  known: readonly Founder[],
  expect: number,
  clusterId: string,
): FoundingPlan | undefined {
  if (state.agreed !== undefined || known.length < expect) return undefined
  const founders = known.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1)).slice(0, expect)
  return founders[0]?.nodeId === self ? { clusterId, maker: self, founders } : undefined
}

/**
 * What a server says to a plan that is proposed to it: it agrees where it agreed to nothing else.
 * Its own proposal it takes back for one of a lower id, so that of two one comes to its end.
 */
export function hearPlan(
  state: FoundingState,
  self: string,
  plan: FoundingPlan,
): { readonly state: FoundingState; readonly agrees: boolean } {
  const { agreed } = state
  if (!plan.founders.some(({ nodeId }) => nodeId === self)) return { state, agrees: false }
  if (agreed === undefined || agreed.clusterId === plan.clusterId) {
    return { state: { agreed: plan }, agrees: true }
  }
  const isOwn = agreed.maker === self
  if (isOwn && plan.maker < self) return { state: { agreed: plan }, agrees: true }
  return { state, agrees: false }
}

/** Gives a plan up that its maker proposes no longer. */
export function givenUp(state: FoundingState, self: string, proposed: string): FoundingState {
  const { agreed } = state
  if (agreed === undefined || agreed.maker === self) return state
  return agreed.clusterId === proposed ? state : NOTHING_SAID
}
