/**
 * Answers that say no: NXDOMAIN, and NODATA, each with the domain's SOA (RFC 2308).
 *
 * Owns their templates, which all names of one length in one domain share, however many are
 * asked. Must never keep anything for a single name.
 */
import type { Bytes } from '../base/bytes.ts'
import { type AnswerTemplate, buildTemplate, nameFromLabels } from '../wire/dns/mod.ts'
import type { DnsConfig } from './config.ts'
import type { Ask } from './form/declare.ts'
import { soaRecord } from './form/records.ts'
import type { Zone } from './name.ts'

interface Made {
  readonly template: AnswerTemplate
  readonly second: number
}

/** Type and class, whatever they are: they are copied from each query. */
const ANY_FIELDS = '\0\x01\0\x01'
/** The longest label with its size octet. */
const LABEL_SIZE_BYTES = 64

export class Negatives {
  readonly #config: DnsConfig
  readonly #made = new Map<string, Made>()

  constructor(config: DnsConfig) {
    this.#config = config
  }

  /**
   * The template for a question whose name takes `nameSizeBytes` (the root's octet included) and
   * ends in `zone`. The serial of its SOA is `nowS`.
   */
  template(rcode: number, zone: Zone, nameSizeBytes: number, nowS: number): AnswerTemplate {
    const key = `${rcode} ${nameSizeBytes} ${zone.text}`
    const made = this.#made.get(key)
    if (made?.second === nowS) return made.template
    const template = buildTemplate(nameOf(zone, nameSizeBytes) + ANY_FIELDS, {
      rcode,
      authoritative: true,
      compress: !this.#config.dns.disableCompression,
      answers: [],
      authorities: [soaRecord(zone, this.#config, nowS)],
    })
    this.#made.set(key, { template, second: nowS })
    return template
  }
}

/** The template that says no to a single name which lies in no zone of ours, with our SOA. */
export function foreignNegative(
  key: Bytes,
  rcode: number,
  { zone, config, nowS }: Pick<Ask, 'zone' | 'config' | 'nowS'>,
): AnswerTemplate {
  return buildTemplate(key, {
    rcode,
    authoritative: true,
    compress: !config.dns.disableCompression,
    answers: [],
    authorities: [soaRecord(zone, config, nowS)],
  })
}

/**
 * A name of that size in the zone which shares no other suffix with any record: pointers into it
 * point into the zone's labels, which stand at the same place in every name of its size.
 */
function nameOf(zone: Zone, sizeBytes: number): Bytes {
  const end = nameFromLabels(zone.labels) ?? ''
  const labels: Bytes[] = []
  let left = sizeBytes - end.length
  while (left > 0) {
    // A label takes two bytes at least, so one byte must never be what is left.
    const taken = left === LABEL_SIZE_BYTES + 1 ? left - 2 : Math.min(left, LABEL_SIZE_BYTES)
    labels.push('\0'.repeat(taken - 1))
    left -= taken
  }
  return nameFromLabels([...labels, ...zone.labels]) ?? ''
}
