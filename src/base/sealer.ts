/**
 * How secrets that others leave with us are kept: tokens of registrations and of prepared queries.
 *
 * Owns the port alone. Whoever holds keys implements it; rows hold nothing but sealed texts.
 */
export interface Sealer {
  /** The text as it may be kept; '' stays ''. Two seals of one text need not be equal. */
  seal(text: string): string
  /** The text that was sealed; '' where it cannot be opened any more. */
  open(sealed: string): string
}

/** Keeps texts as they are: for tests, and where nothing is kept that outlives the process. */
export const plainSealer: Sealer = { seal: text => text, open: sealed => sealed }
