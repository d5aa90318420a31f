/**
 * `sys/audit`: where records of requests go, and what stands in them.
 *
 * Owns the paths. Devices are in the configuration alone: whoever could add one by a request could
 * have this server write files and speak to others (CVE-2025-6000).
 */
import { Refusal } from '../../../base/errors.ts'
import { auditHash } from '../../audit.ts'
import { NOTHING, type PathSpec, path } from '../../declare.ts'
import { bool, kv, str } from '../../field.ts'
import { auditedHeaders, putAuditedHeader } from '../../settings.ts'
import { anyObject, mapOf, object, text, bool as truth } from '../../shape.ts'
import type { AuditDeviceShown, RuntimePort, SystemPorts } from './ports.ts'

/** The paths of the audit. */
export const auditPaths = ({ runtime }: SystemPorts): PathSpec[] => [
  tablePath(runtime),
  entryPath(runtime),
  hashPath(runtime),
  headersPath,
  headerPath,
]

const deviceShape = object({
  type: text,
  description: text,
  options: mapOf(text),
  local: truth,
  path: text,
})

const pathOf = ({ name }: AuditDeviceShown): string => `${name}/`

const show = (device: AuditDeviceShown): Record<string, unknown> => ({
  type: device.type,
  description: '',
  options: device.options,
  local: false,
  path: pathOf(device),
})

const tablePath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'audit',
    help: {
      synopsis: 'Lists the devices that the audit is sent to.',
      description: 'Those of the configuration of the server that is asked.',
    },
    fields: {},
    access: 'privileged',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Lists the devices that the audit is sent to.',
        answer: mapOf(deviceShape),
        run: () => ({
          data: Object.fromEntries(
            runtime.auditDevices().map(device => [pathOf(device), show(device)]),
          ),
        }),
      },
    },
  })

const nameOf = (said: string): string => said.replaceAll(/^\/+|\/+$/g, '')

const entryFields = {
  path: str('The name of a device.'),
  type: str('Its type.'),
  description: str('What it is for.'),
  options: kv('What it needs.'),
  local: bool('Kept for clients that say it.'),
}

const entryPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'audit/{path*}',
    help: {
      synopsis: 'Refuses to change devices by requests.',
      description: 'They are in the configuration alone, in the stanza `audit`.',
    },
    fields: entryFields,
    access: 'privileged',
    isRootOnly: true,
    operations: {
      update: {
        summary: 'Is refused.',
        effect: 'reads',
        run: () =>
          new Refusal(
            400,
            'cannot enable audit device via API; use declarative, config-based audit device management instead',
          ),
      },
      delete: {
        summary: 'Is refused for a device that there is.',
        effect: 'reads',
        run({ fields }) {
          const name = nameOf(fields.path!)
          if (name === '') return new Refusal(400, 'audit device path must be specified')
          const isThere = runtime.auditDevices().some(device => device.name === name)
          return isThere
            ? new Refusal(400, 'cannot disable configuration-managed audit device')
            : NOTHING
        },
      },
    },
  })

const hashPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'audit-hash/{path*}',
    help: {
      synopsis: 'Tells what stands in records in place of a text.',
      description: 'The same for all devices of all servers: by it records are searched.',
    },
    fields: {
      path: str('The name of a device.'),
      input: str('The text.', { isSecret: true }),
    },
    access: 'authorized',
    isRootOnly: true,
    operations: {
      update: {
        summary: 'Tells what stands in records in place of a text.',
        answer: object({ hash: text }),
        effect: 'reads',
        examples: [{ input: 'my-secret' }],
        run({ draft, fields }) {
          const { input = '' } = fields
          if (input === '') return new Refusal(400, 'the "input" parameter is empty')
          const name = nameOf(fields.path!)
          const isKnown = runtime.auditDevices().some(device => device.name === name)
          return isKnown
            ? { data: { hash: auditHash(draft.barrier, input) } }
            : new Refusal(400, `unknown audit backend ${JSON.stringify(`${name}/`)}`)
        },
      },
    },
  })

const headersPath = path({
  pattern: 'config/auditing/request-headers',
  help: {
    synopsis: 'Lists the headers of requests that the audit shows.',
    description: 'Each in clear, or as its hash.',
  },
  fields: {},
  access: 'privileged',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Lists the headers of requests that the audit shows.',
      answer: object({ headers: mapOf(object({ hmac: truth })) }),
      run: ({ draft }) => ({ data: { headers: auditedHeaders(draft) } }),
    },
  },
})

const headerFields = {
  header: str('The name of a header, in any case.'),
  hmac: bool('Whether only the hash of its value is shown.'),
}

/** A token of RFC 9110, as names of headers are. */
const HEADER = /^[\w!#$%&'*+.^`|~-]{1,128}$/
/** What carries a token must not be shown, in clear or not: it is in each record already. */
const CARRIERS = ['authorization', 'x-vault-token', 'x-consul-token', 'cookie']

const headerPath = path({
  pattern: 'config/auditing/request-headers/{header}',
  help: {
    synopsis: 'Shows, sets and removes a header that the audit shows.',
    description: 'Headers that carry a token cannot be shown.',
  },
  fields: headerFields,
  access: 'privileged',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows how the audit shows a header.',
      answer: anyObject,
      run({ draft, fields: { header = '' } }) {
        const known = auditedHeaders(draft)
        const name = header.toLowerCase()
        return Object.hasOwn(known, name)
          ? { data: { [header]: known[name] } }
          : new Refusal(400, 'Could not find header in config')
      },
    },
    update: {
      summary: 'Has the audit show a header.',
      examples: [{ hmac: true }],
      run({ draft, fields: { header = '', hmac = false } }) {
        if (!HEADER.test(header)) return new Refusal(400, 'header is not the name of one')
        if (CARRIERS.includes(header.toLowerCase())) {
          return new Refusal(400, 'headers that carry a token cannot be shown')
        }
        putAuditedHeader(draft, header, { hmac })
        return NOTHING
      },
    },
    delete: {
      summary: 'Has the audit show a header no more.',
      run({ draft, fields: { header = '' } }) {
        putAuditedHeader(draft, header, undefined)
        return NOTHING
      },
    },
  },
})
