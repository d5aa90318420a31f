/**
 * `sys/config`: CORS, headers of the web interface, and the configuration as it is.
 *
 * Owns the paths; src/http/secrets/cors.ts does by what is set here.
 */
import { Refusal } from '../../../base/errors.ts'
import { NOTHING, type PathSpec, path } from '../../declare.ts'
import { bool, list, str } from '../../field.ts'
import { corsOf, dropCors, putCors, uiHeaderRows } from '../../settings.ts'
import { anyObject, keys, object, optional, text, texts, bool as truth } from '../../shape.ts'
import type { RuntimePort, SystemPorts } from './ports.ts'

/** The paths of settings. */
export const configPaths = ({ runtime }: SystemPorts): PathSpec[] => [
  corsPath,
  uiHeadersPath,
  uiHeaderPath,
  sanitizedPath(runtime),
  reloadPath(runtime),
]

const corsPath = path({
  pattern: 'config/cors',
  help: {
    synopsis: 'Shows, sets and removes which pages of other origins may ask.',
    description: 'What it says holds on all servers.',
  },
  fields: {
    enable: bool('Kept for clients that say it: setting anything switches it on.'),
    allowed_origins: list('Origins; `*` for all.'),
    allowed_headers: list("Headers beside those of Vault's clients."),
  },
  access: 'privileged',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows which pages of other origins may ask.',
      answer: object({
        enabled: truth,
        allowed_origins: optional(texts),
        allowed_headers: optional(texts),
      }),
      run({ draft }) {
        const cors = corsOf(draft)
        if (cors === undefined) return { data: { enabled: false } }
        const { origins, headers } = cors
        return {
          data: { enabled: true, allowed_origins: origins, allowed_headers: headers },
        }
      },
    },
    update: {
      summary: 'Sets which pages of other origins may ask.',
      examples: [{ allowed_origins: 'https://web.example' }],
      run({ draft, fields: { allowed_origins: origins = [], allowed_headers = [] } }) {
        if (origins.length === 0) {
          return new Refusal(400, 'at least one origin or the wildcard must be provided')
        }
        if (origins.length > 1 && origins.includes('*')) {
          return new Refusal(400, 'to allow all origins the wildcard must be the only value')
        }
        putCors(draft, { origins, headers: [...STANDARD_HEADERS, ...allowed_headers] })
        return NOTHING
      },
    },
    delete: {
      summary: 'Has no page of another origin ask.',
      run({ draft }) {
        dropCors(draft)
        return NOTHING
      },
    },
  },
})

/** What Vault's clients in web pages send. */
const STANDARD_HEADERS = [
  'Content-Type',
  'X-Requested-With',
  'X-Vault-AWS-IAM-Server-ID',
  'X-Vault-MFA',
  'X-Vault-No-Request-Forwarding',
  'X-Vault-Wrap-Format',
  'X-Vault-Wrap-TTL',
  'X-Vault-Policy-Override',
  'Authorization',
  'X-Vault-Token',
]

const uiHeadersPath = path({
  pattern: 'config/ui/headers',
  help: {
    synopsis: 'Lists headers of the web interface.',
    description: 'They are kept for it; there is none yet.',
  },
  fields: {},
  access: 'privileged',
  isRootOnly: true,
  operations: {
    list: {
      summary: 'Lists headers of the web interface.',
      answer: keys,
      run({ draft }) {
        const names = uiHeaderRows(draft).keys()
        return names.length === 0 ? NOTHING : { data: { keys: names } }
      },
    },
  },
})

interface UiHeader {
  readonly values: readonly string[]
}

const uiHeaderPath = path({
  pattern: 'config/ui/headers/{header}',
  help: {
    synopsis: 'Shows, sets and removes a header of the web interface.',
    description: 'Those that begin with `X-Vault-` are not to be set.',
  },
  fields: {
    header: str('The name of a header, in any case.'),
    values: list('What it says.'),
    multivalue: bool('Whether all that it says is shown.'),
  },
  access: 'privileged',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows a header of the web interface.',
      answer: object({ value: optional(text), values: optional(texts) }),
      run({ draft, fields: { header = '', multivalue } }) {
        const row = uiHeaderRows(draft).get<UiHeader>(header.toLowerCase())
        if (row === undefined) return NOTHING
        return { data: multivalue === true ? { values: row.values } : { value: row.values[0] } }
      },
    },
    update: {
      summary: 'Sets a header of the web interface.',
      answer: anyObject,
      examples: [{ values: ['a'] }],
      run({ draft, fields: { header = '', values = [] } }) {
        const name = header.toLowerCase()
        if (values.length === 0) return new Refusal(400, 'header and values must be specified')
        if (name.startsWith('x-vault-')) {
          return new Refusal(400, 'X-Vault headers cannot be set')
        }
        if (!/^[a-z0-9-]{1,128}$/.test(name) || values.some(value => /[\r\n\0]/.test(value))) {
          return new Refusal(400, 'header or values cannot be sent')
        }
        uiHeaderRows(draft).put(name, { values })
        return name === 'content-security-policy' ? { warnings: [OVER_CSP] } : NOTHING
      },
    },
    delete: {
      summary: 'Removes a header of the web interface.',
      run({ draft, fields: { header = '' } }) {
        uiHeaderRows(draft).delete(header.toLowerCase())
        return NOTHING
      },
    },
  },
})

const OVER_CSP =
  'overriding default Content-Security-Policy which is secure by default, proceed with caution'

const sanitizedPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'config/state/sanitized',
    help: {
      synopsis: "Shows this server's configuration.",
      description: 'Without what is secret in it.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: "Shows this server's configuration.",
        answer: anyObject,
        act: () => ({ data: runtime.settings() }),
      },
    },
  })

const reloadPath = (runtime: RuntimePort): PathSpec =>
  path({
    pattern: 'config/reload/{subsystem}',
    help: {
      synopsis: 'Reads the configuration anew.',
      description: 'All that needs no restart is taken over; there is no licence.',
    },
    fields: { subsystem: str('`config`.') },
    access: 'authorized',
    isRootOnly: true,
    operations: {
      update: {
        summary: 'Reads the configuration anew.',
        act({ fields: { subsystem } }) {
          if (subsystem !== 'config') {
            const name = JSON.stringify(subsystem)
            return new Refusal(400, `unknown subsystem ${name}: there is "config"`)
          }
          return runtime
            .reload()
            .then(problems =>
              problems.length === 0
                ? NOTHING
                : new Refusal(500, `Reload failed: ${problems.join('\n')}`),
            )
        },
      },
    },
  })
