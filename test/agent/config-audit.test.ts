/**
 * The stanza `audit`: in both languages, as users of other products have it, and refused with its
 * place where it is wrong.
 */
import t from 'tap'
import { type Config, type ConfigResult, resolveConfig } from '../../src/agent/config.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

function resolve(text: string, format: 'hcl' | 'json' = 'hcl'): ConfigResult {
  const texts = [{ name: `a.${format}`, text, format }]
  return resolveConfig({ texts, flags: [], isDev: false }, surroundings)
}

function auditOf(result: ConfigResult): Config['audit'] {
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config.audit
}

const problemsOf = (result: ConfigResult): readonly string[] =>
  'problems' in result ? result.problems : []

t.test('off, and within its bounds, unless something is said', async t => {
  t.strictSame(auditOf(resolve('')), {
    enabled: false,
    reads: false,
    require: 0,
    maxSizeBytes: 32 * 1_048_576,
    retentionMs: 30 * 86_400_000,
    unshippedSizeBytes: 1_024 * 1_048_576,
    sinks: [],
    folders: ['/w/data'],
  })
})

t.test('a stanza as Consul has it', async t => {
  const audit = auditOf(
    resolve(`
      audit {
        enabled = true
        sink "My sink" {
          type   = "file"
          format = "json"
          path   = "/w/data/audit/audit.json"
          delivery_guarantee = "best-effort"
        }
      }
    `),
  )
  t.equal(audit.enabled, true)
  t.match(audit.sinks, [
    { name: 'My sink', type: 'file', values: { path: '/w/data/audit/audit.json' } },
  ])
})

t.test('every kind of sink, in both languages', async t => {
  const hcl = auditOf(
    resolve(`
      audit {
        enabled = true
        reads = true
        require = 2
        max_size_mb = 10
        unshipped_max_size_mb = -1
        retention_time = "24h"
        allowed_folders = ["/var/log"]
        sink "f" { type = "file" path = "/var/log/audit.log" }
        sink "s" { type = "socket" address = "siem:9000" socket_type = "tcp" write_timeout = "2s" }
        sink "l" { type = "syslog" facility = "LOCAL3" }
        sink "h" {
          type = "http"
          uri = "https://siem/in"
          headers { Authorization = "Bearer x" }
        }
      }
    `),
  )
  const json = auditOf(
    resolve(
      JSON.stringify({
        audit: {
          enabled: true,
          reads: true,
          require: 2,
          max_size_mb: 10,
          unshipped_max_size_mb: -1,
          retention_time: '24h',
          allowed_folders: ['/var/log'],
          sink: {
            f: { type: 'file', path: '/var/log/audit.log' },
            s: { type: 'socket', address: 'siem:9000', socket_type: 'tcp', write_timeout: '2s' },
            l: { type: 'syslog', facility: 'LOCAL3' },
            h: { type: 'http', uri: 'https://siem/in', headers: { Authorization: 'Bearer x' } },
          },
        },
      }),
      'json',
    ),
  )
  t.strictSame(hcl, json)
  t.match(hcl, { reads: true, require: 2, unshippedSizeBytes: -1, retentionMs: 86_400_000 })
  t.same(hcl.folders, ['/w/data', '/var/log'])
  t.match(hcl.sinks[1], { name: 's', values: { write_timeout: 2_000 } })
  t.match(hcl.sinks[3], { values: { headers: { Authorization: 'Bearer x' } } })
})

const wrong: readonly (readonly [string, RegExp])[] = [
  [
    'sink "a" { type = "pipe" }',
    /^a\.hcl:1: audit\.sink: type: must be one of file, socket, syslog, http$/,
  ],
  ['sink "a" { path = "/x" }', /type: must be one of/],
  ['sink "a" { type = "file" }', /path: is missing/],
  ['sink "a" { type = "file" path = "data/audit.json" }', /path: must be absolute/],
  [
    'sink "a" { type = "file" path = "/x" prefix = "y" }',
    /prefix: unknown key of a sink of type file/,
  ],
  ['sink "a" { type = "file" path = "/x" rotate_bytes = 5 }', /rotate_bytes: rotation is not ours/],
  ['sink "a" { type = "file" path = "/x" format = "jsonx" }', /format: must be one of json/],
  ['sink "a" { type = "socket" address = "x" }', /address: must be host:port/],
  ['sink "a" { type = "http" uri = "https://u:hunter2@x/" }', /uri: must not hold a password/],
  [
    'sink "a" { type = "http" uri = "https://x/" headers = ["Bearer hunter2"] }',
    /headers: must be an object of strings/,
  ],
  ['sink "a" { type = "syslog" write_timeout = "0s" }', /write_timeout: must be a duration/],
  ['sink { type = "syslog" }', /a sink has a name: sink "name" \{ … \}/],
  ['sink = "syslog"', /blocks with a name/],
  ['sink "a" { type = "syslog" } sink "a" { type = "syslog" }', /each name stands once/],
  ['require = 1', /audit\.require: there are only 0 sinks/],
  ['require = -1', /audit\.require: must be a whole number/],
  ['allowed_folders = ["var/log"]', /each must be an absolute path/],
  ['max_size_mb = 0', /audit\.max_size_mb: must be a whole number/],
]

for (const [body, problem] of wrong) {
  t.test(`refused: ${body}`, async t => {
    const problems = problemsOf(resolve(`audit { enabled = true ${body} }`))
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], problem)
    t.notMatch(problems.join('\n'), /hunter2/, 'no value is quoted')
  })
}

t.test('sinks without a word on whether anything is recorded are a mistake', async t => {
  const sink = 'sink "a" { type = "syslog" }'
  t.match(problemsOf(resolve(`audit { ${sink} }`)), [/audit\.enabled says whether/])
  t.equal(auditOf(resolve(`audit { enabled = false ${sink} }`)).enabled, false)
})

t.test('there are bounds', async t => {
  const sinks = Array.from({ length: 17 }, (_, i) => `sink "s${i}" { type = "syslog" }`).join('\n')
  t.match(problemsOf(resolve(`audit {\n enabled = true\n ${sinks}\n}`)), [/more than 16/])
})
