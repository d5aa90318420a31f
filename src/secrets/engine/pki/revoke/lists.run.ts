/**
 * The bytes of lists of revoked certificates: made by each server from the rows, never stored.
 *
 * Owns that an edition is made and signed once on a server, however many ask for it, and that
 * making one of many entries holds nobody up. Who asks has looked whether the issuer may sign one.
 */

import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import { Recent } from '../../../../base/recent.ts'
import { finishInSlices } from '../../../../base/slices.ts'
import { signBy } from '../../../../x509/algorithm.ts'
import { crlBody, crlEntry } from '../../../../x509/crl.ts'
import type { Call } from '../../../declare.ts'
import type { Storage } from '../../../storage.ts'
import { choiceOf } from '../algorithm.ts'
import { issuerFor, type SigningIssuer } from '../issuer/stored.ts'
import { urlsOfIssuer } from '../issuer/urls.ts'
import { bad } from '../refusals.ts'
import { type Edition, listAt, listIdOf, REVOKED, type RevokedRow, revokedSerials } from './rows.ts'
import { crlConfigOf } from './settings.ts'

/** An edition as it is sent. */
export interface MadeList {
  readonly der: Buffer
  readonly thisUpdateMs: number
}

/** What of a revoked certificate a list needs. */
interface Entry {
  readonly list: string
  readonly sequence: number
  readonly der: Buffer
}

interface Kept {
  readonly edition: Edition
  readonly issuer: SigningIssuer['row']
  readonly made: Promise<MadeList | Refusal>
}

/** The lists of one server. */
export class Lists {
  readonly #arithmetic: Pick<Arithmetic, 'sign'>
  readonly #kept = new Recent<string, Kept>(limits.pkiListsKept)
  /** By the sealed row, which is another one when it is written again. */
  readonly #entries = new WeakMap<object, Entry>()

  constructor(arithmetic: Pick<Arithmetic, 'sign'>) {
    this.#arithmetic = arithmetic
  }

  /**
   * The newest edition of an issuer's list; undefined where there is none of that kind. Refused
   * where the issuer may not sign one, or the newest is over: never an old one, never an empty one
   * instead.
   */
  async newest(
    { storage, mount, now }: Pick<Call, 'storage' | 'mount' | 'now'>,
    reference: string,
    isDelta: boolean,
  ): Promise<MadeList | Refusal | undefined> {
    const config = crlConfigOf(storage)
    if (config.disable) return bad('the lists of revoked certificates of this mount are disabled')
    if (isDelta && !config.enable_delta) return undefined
    const issuer = issuerFor(storage, reference, 'crl-signing')
    if (issuer instanceof Refusal) return issuer
    const id = listIdOf(issuer.certificate)
    const row = listAt(storage, id)
    const edition = isDelta ? row?.delta : row?.whole
    if (row === undefined || edition === undefined) return undefined
    if (edition.nextUpdateMs <= now) return OVER
    const place = `${mount.uuid}/${issuer.row.id}/${isDelta}`
    const before = this.#kept.get(place)
    // Rows are told apart by what they are: a number is never given twice, but a restore goes back.
    if (before?.issuer === issuer.row && isSame(before.edition, edition)) return before.made
    const base = isDelta ? row.whole : undefined
    const made = this.#make(storage, issuer, { id, edition, base, most: config.max_crl_entries })
    this.#kept.set(place, { edition, issuer: issuer.row, made })
    // What failed is tried again by the next one who asks.
    const forget = (): void => this.#kept.set(place, { edition: NONE, issuer: issuer.row, made })
    made.then(list => list instanceof Refusal && forget(), forget)
    return made
  }

  async #make(
    storage: Storage,
    issuer: SigningIssuer,
    { id, edition, base, most }: Wanted,
  ): Promise<MadeList | Refusal> {
    const { row, certificate, key } = issuer
    const entries = await finishInSlices(
      this.#entriesOf(storage, id, base?.sequence ?? 0, edition.sequence),
    )
    if (most >= 0 && entries.length > most) {
      return new Refusal(
        500,
        `the list has ${entries.length} entries, which are more than max_crl_entries (${most})`,
      )
    }
    const urls = urlsOfIssuer(storage, row)
    const choice = choiceOf(row.revocationAlgorithm, key)
    const work = await crlBody(
      {
        ...{ number: edition.number, entries },
        thisUpdate: new Date(edition.thisUpdateMs),
        nextUpdate: new Date(edition.nextUpdateMs),
        deltaOf: base?.number,
        deltaCrl:
          urls instanceof Refusal || !crlConfigOf(storage).enable_delta
            ? []
            : urls.deltaCrlDistributionPoints,
      },
      { certificate, key, ...choice },
    )
    const der = await signBy(this.#arithmetic, work, key)
    return { der, thisUpdateMs: edition.thisUpdateMs }
  }

  *#entriesOf(
    storage: Storage,
    id: string,
    after: number,
    last: number,
  ): Generator<undefined, Buffer[]> {
    const entries: Buffer[] = []
    for (const serial of revokedSerials(storage)) {
      const entry = storage.made<RevokedRow, Entry>(REVOKED + serial, this.#entries, row =>
        entryOf(serial, row),
      )
      if (entry?.list === id && entry.sequence > after && entry.sequence <= last) {
        entries.push(entry.der)
      }
      yield
    }
    return entries
  }
}

interface Wanted {
  /** Of the list. */
  readonly id: string
  readonly edition: Edition
  /** What a delta adds to; undefined for a whole list. */
  readonly base: Edition | undefined
  /** How many entries it may have; below 0 for any number. */
  readonly most: number
}

const OVER = new Refusal(
  503,
  'the list of revoked certificates is about to be made anew: try again',
)
const NONE: Edition = { number: -1, sequence: -1, thisUpdateMs: 0, nextUpdateMs: 0 }

const isSame = (one: Edition | undefined, other: Edition): boolean =>
  one?.number === other.number &&
  one.sequence === other.sequence &&
  one.thisUpdateMs === other.thisUpdateMs &&
  one.nextUpdateMs === other.nextUpdateMs

const entryOf = (serial: string, { list, sequence, revokedAtMs, reason }: RevokedRow): Entry => ({
  ...{ list, sequence },
  der: crlEntry({ serial, revokedAt: new Date(revokedAtMs), reason }),
})
