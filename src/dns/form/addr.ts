/**
 * Addresses as names: what SRV records point to where an instance has an address of its own.
 *
 * The answer is in the name; the registry is not asked.
 */
import type { Bytes } from '../../base/bytes.ts'
import { addressFromHex, addressToText } from '../../wire/dns/mod.ts'
import { nodeTtlS } from '../config.ts'
import { type Answer, type Ask, defineDnsForm, noAnswers, wants } from './declare.ts'
import { addressRecord } from './records.ts'

export const addrForm = defineDnsForm<Bytes>({
  name: 'addr',
  pattern: '<hexadecimal address>.addr[.<datacenter>[.dc]]',
  examples: [
    { ask: '0a010002.addr.dc1.consul A', gives: 'A 10.1.0.2' },
    { ask: '0A010002.addr.consul A', gives: 'A 10.1.0.2' },
    { ask: '0a010002.addr.dc1.consul AAAA', gives: 'NODATA' },
    { ask: 'fd000000000000000000000000000006.addr.dc1.consul AAAA', gives: 'AAAA fd00::6' },
    { ask: 'fd000000000000000000000000000006.addr.dc1.consul A', gives: 'NODATA' },
    { ask: '0a0100.addr.dc1.consul A', gives: 'NXDOMAIN' },
    { ask: '0a01000g.addr.dc1.consul A', gives: 'NXDOMAIN' },
    { ask: 'more.0a010002.addr.dc1.consul A', gives: 'NXDOMAIN' },
    { ask: '0a010002.addr.dc9.consul A', gives: 'NXDOMAIN' },
  ],
  parse: ({ kind, before }) =>
    kind === 'addr' && before.length > 0 ? before.join('.') : undefined,
  answer: (digits, ask) => {
    const address = addressFromHex(digits)
    const answers = address === undefined ? noAnswers(false) : addrAnswers(address, ask)
    return { scope: undefined, answers }
  },
  standsOn: () => [],
})

function* addrAnswers(address: Bytes, ask: Ask): Generator<Answer, boolean> {
  const record = addressRecord(ask.name, addressToText(address), nodeTtlS(ask.config))
  if (record !== undefined && wants(ask, record.type)) yield { record, additionals: [] }
  return true
}
