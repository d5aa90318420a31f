/**
 * The device `syslog`: the machine's own through its program `logger`, or another machine's over
 * UDP or TCP in the form of RFC 5424.
 *
 * Owns the form of a message. A record is one message of severity notice; its line is the text.
 */

import { openSyslogPipe, type SyslogPipe } from '../../base/io/syslog.ts'
import { limits } from '../../base/limits.ts'
import { syslogFacility } from '../../base/log.ts'
import { type Device, type DevicePorts, defineDevice, type Shipment, textIn } from '../device.ts'
import { connectTcp, parsePlace } from './connect.ts'
import { StreamDevice, udpDevice } from './socket.ts'

const FACILITY = 'AUTH'
const TAG = 'gatehouse'
const NOTICE = 5

export const syslogDevice = defineDevice({
  type: 'syslog',
  doc: 'syslog of this machine, or of another one',
  fields: {
    facility: { kind: 'text', doc: 'facility of the messages; AUTH unless given' },
    tag: { kind: 'text', doc: 'name of the program in them; gatehouse unless given' },
    address: { kind: 'text', doc: 'host:port of another machine; this one’s unless given' },
    socket_type: { kind: 'text', doc: 'of that machine; udp unless given', oneOf: ['udp', 'tcp'] },
  },
  problemOf(values) {
    if (syslogFacility(textIn(values, 'facility') || FACILITY) === undefined) {
      return 'facility: must be a facility of syslog, such as AUTH or LOCAL0'
    }
    if (!/^[\x21-\x7e]{0,48}$/.test(textIn(values, 'tag'))) {
      return 'tag: must be at most 48 printable characters'
    }
    const address = textIn(values, 'address')
    return address === '' || parsePlace(address) !== undefined
      ? undefined
      : 'address: must be host:port'
  },
  open(values, ports) {
    const address = textIn(values, 'address')
    const facility = textIn(values, 'facility') || FACILITY
    const tag = textIn(values, 'tag') || TAG
    if (address === '') return new LocalSyslog(facility, tag)
    const priority = (syslogFacility(facility) ?? 0) * 8 + NOTICE
    const messages = (lines: readonly Buffer[]): Buffer[] =>
      lines.map(line => messageOf(line, priority, tag, ports))
    if (textIn(values, 'socket_type') !== 'tcp') return udpDevice(address, ports, messages)
    return new StreamDevice(
      signal => connectTcp(parsePlace(address)!, ports, signal),
      lines => Buffer.concat(messages(lines).flatMap(counted)),
    )
  },
})

/** RFC 5424: `<PRI>1 TIME HOST APP PROCID MSGID SD MSG`; what nobody knows is a dash. */
function messageOf(line: Buffer, priority: number, tag: string, { clock }: DevicePorts): Buffer {
  const time = new Date(clock.wall()).toISOString()
  const head = `<${priority}>1 ${time} - ${tag} - audit - `
  return Buffer.concat([Buffer.from(head, 'latin1'), line.subarray(0, -1)])
}

/** RFC 6587: each message behind its length. */
const counted = (message: Buffer): Buffer[] => [Buffer.from(`${message.length} `), message]

/** The program `logger` as a device. */
class LocalSyslog implements Device {
  readonly #facility: string
  readonly #tag: string
  #pipe: SyslogPipe | undefined

  constructor(facility: string, tag: string) {
    this.#facility = facility
    this.#tag = tag
  }

  async write({ lines }: Shipment, signal: AbortSignal): Promise<void> {
    this.#pipe ??= openSyslogPipe({
      facility: this.#facility,
      tag: this.#tag,
      messageSizeBytes: limits.auditLineChars,
    })
    await this.#pipe.write(Buffer.concat(lines), signal)
  }

  async close(): Promise<void> {
    this.#pipe?.close()
    this.#pipe = undefined
  }
}
