/**
 * Configuration entries out of configuration files.
 */
import t from 'tap'
import { resolveConfig } from '../../src/agent/config.ts'
import { readEntry } from '../../src/agent/entry-definition.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }
const resolve = (text: string) =>
  resolveConfig(
    { texts: [{ name: 'a.hcl', text, format: 'hcl' }], flags: [], isDev: true },
    surroundings,
  )

t.test('blocks in any of the forms that HCL has', async t => {
  const result = resolve(`
    config_entries {
      bootstrap = [
        { kind = "proxy-defaults" name = "global" config { protocol = "http" } },
      ]
    }
    config_entries {
      bootstrap {
        kind = "service-resolver"
        name = "web"
        default_subset = "v1"
        subsets "v1" { filter = "Service.Meta.version == v1" }
        subsets "v2" { only_passing = true }
        connect_timeout = "15s"
      }
      bootstrap {
        Kind = "service-intentions"
        Name = "web"
        Sources = [{ Name = "api", Permissions = [{ Action = "allow" HTTP { PathPrefix = "/" } }] }]
      }
    }
  `)
  t.notOk('problems' in result, JSON.stringify(result))
  if ('problems' in result) return
  const [proxies, resolver, intentions] = result.config.configEntries
  t.match(proxies, { kind: 'proxy-defaults', name: 'global' })
  t.match(proxies?.fields, { Config: { protocol: 'http' } })
  t.strictSame(resolver?.fields, {
    DefaultSubset: 'v1',
    Subsets: { v1: { Filter: 'Service.Meta.version == v1' }, v2: { OnlyPassing: true } },
    ConnectTimeout: '15s',
  })
  t.match(intentions?.fields, {
    Sources: [{ Name: 'api', Permissions: [{ Action: 'allow', HTTP: { PathPrefix: '/' } }] }],
  })
})

t.test('what is wrong is told with its place', async t => {
  const wrong: [string, string][] = [
    ['kind = "nosuch"', 'invalid config entry kind: nosuch'],
    ['kind = "service-defaults"', 'Name is required'],
    ['kind = "mesh"', 'not served yet: config entries of kind "mesh"'],
    ['kind = "service-defaults" name = "a" foo = 1', 'invalid config key "foo"'],
  ]
  for (const [body, problem] of wrong) {
    const result = resolve(`config_entries {\n  bootstrap {\n    ${body}\n  }\n}`)
    t.match(
      'problems' in result && result.problems.join(),
      /^a\.hcl:3: config_entries\.bootstrap: /,
    )
    t.match('problems' in result && result.problems.join(), problem)
  }
  t.match(resolve('config_entries { bootstrap = 5 }'), { problems: [/must be a block or/] })
})

t.test('one block alone', async t => {
  const problems: string[] = []
  const entry = readEntry({ kind: 'proxy-defaults' }, problem => problems.push(problem))
  t.match(entry, { kind: 'proxy-defaults', name: 'global' })
  t.equal(
    readEntry({ kind: 5 }, problem => problems.push(problem)),
    undefined,
  )
  t.strictSame(problems, ['Kind value in payload is not a string'])
})
