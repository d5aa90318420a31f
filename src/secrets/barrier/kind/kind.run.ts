/**
 * What opens the barrier without a person: the port that each kind of automatic seal meets.
 *
 * Owns the types. A kind keeps one secret of ours, the root key, in a form that only it can open.
 * It must never log or quote a key, and what it rejects with says what an operator can do about it.
 */

/** An automatic seal. Key shares are none: where there is no kind, people bring them. */
export interface SealKind {
  /** As `seal "type" {}` names it. */
  readonly type: string
  /**
   * Seals a root key. Rejects with OperatingError (`unavailable` where it may work later).
   */
  wrap(rootKey: Buffer): Promise<string>
  /**
   * The root key again; the buffer is the caller's to wipe. Rejects with OperatingError: `damaged`
   * where this seal never sealed it, `unavailable` where it may work later.
   */
  unwrap(sealed: string): Promise<Buffer>
  /** Whether what was sealed should be sealed anew, since the seal has another key by now. */
  isOutdated(sealed: string): boolean
  /** Lets go of timers and connections. */
  stop(): void
}
