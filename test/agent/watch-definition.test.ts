/** Watches as configuration files hold them. */
import t from 'tap'
import { readWatch, type Watch } from '../../src/agent/watch-definition.ts'
import { type HclObject, parse } from '../../src/hcl/hcl.ts'

function read(text: string): { watch: Watch | undefined; problems: string[] } {
  const problems: string[] = []
  const block = parse(text, { format: 'hcl' }) as HclObject
  const watch = readWatch(block, 'a.hcl:1', (field, problem) => {
    problems.push(`${field}: ${problem}`)
  })
  return { watch, problems }
}

t.test('every type, with what it looks at', async t => {
  const looks: Record<string, [path: string, part: string, query: string]> = {
    'type = "key" key = "a/b c"': ['/v1/kv/{key}', 'a/b%20c', ''],
    'type = "keyprefix" prefix = "a/"': ['/v1/kv/{key}', 'a/', 'recurse'],
    'type = "services"': ['/v1/catalog/services', '', ''],
    'type = "nodes" filter = "a == b"': ['/v1/catalog/nodes', '', 'filter=a%20%3D%3D%20b'],
    'type = "service" service = "web" tag = ["x", "y"] passingonly = true': [
      '/v1/health/service/{service}',
      'web',
      'passing=1&tag=x&tag=y',
    ],
    'type = "service" service = "web" tag = "x"': ['/v1/health/service/{service}', 'web', 'tag=x'],
    'type = "checks"': ['/v1/health/state/{state}', 'any', ''],
    'type = "checks" state = "critical"': ['/v1/health/state/{state}', 'critical', ''],
    'type = "checks" service = "web"': ['/v1/health/checks/{service}', 'web', ''],
    'type = "event" name = "deploy"': ['/v1/event/list', '', 'name=deploy'],
    'type = "agent_service" service_id = "w1"': ['/v1/agent/service/{service}', 'w1', ''],
  }
  for (const [text, [path, part, query]] of Object.entries(looks)) {
    const { watch, problems } = read(`${text} args = ["true"]`)
    t.same(problems, [], text)
    t.match(watch, { path, part, query, where: 'a.hcl:1' }, text)
  }
})

t.test('handlers', async t => {
  const { watch } = read('type = "nodes" handler_type = "script" args = ["/bin/x", "-y"]')
  t.same(watch?.handler, { kind: 'program', words: ['/bin/x', '-y'] })
  const line = read('type = "nodes" handler = "cat > /tmp/x"')
  t.same(line.watch?.handler, { kind: 'program', words: ['/bin/sh', '-c', 'cat > /tmp/x'] })
  const http = read(`type = "nodes" handler_type = "http" http_handler_config {
    path = "https://127.0.0.1:8000/hook" method = "PUT" timeout = "3s" tls_skip_verify = true
    header { x-a = ["1", "2"] } }`)
  t.same(http.watch?.handler, {
    kind: 'http',
    url: 'https://127.0.0.1:8000/hook',
    method: 'PUT',
    headers: { 'x-a': ['1', '2'] },
    timeoutMs: 3_000,
    skipsVerify: true,
  })
  const plain = 'type = "nodes" handler_type = "http" http_handler_config { path = "http://x/" }'
  t.match(read(plain).watch?.handler, { method: 'POST', timeoutMs: 10_000, skipsVerify: false })
})

t.test('mistakes', async t => {
  const wrong: Record<string, string> = {
    'type = "key" args = ["x"]': 'key: is missing for the type key',
    'type = "service" args = ["x"]': 'service: is missing for the type service',
    'type = "agent_service" args = ["x"]': 'service_id: is missing',
    'type = "colour" args = ["x"]': 'type: must be one of key, keyprefix, services',
    'args = ["x"]': 'type: must be one of',
    'type = "connect_roots" args = ["x"]': 'type: not served yet: watches of connect_roots',
    'type = "nodes"': 'args: is missing',
    'type = "nodes" args = ["x"] handler = "x"': 'handler: stands beside args',
    'type = "nodes" args = [1]': 'args: must be a list of strings',
    'type = 1 args = ["x"]': 'type: must be a string',
    'type = "nodes" handler_type = "mail" args = ["x"]': 'handler_type: must be script or http',
    'type = "nodes" args = ["x"] colour = "red"': 'colour: unknown key',
    'type = "service" service = "a" passingonly = "x" args = ["x"]': 'passingonly: must be true or',
    'type = "checks" service = "a" state = "any" args = ["x"]': 'state: stands beside service',
    'type = "nodes" handler_type = "http"': 'http_handler_config: is missing',
    'type = "nodes" handler_type = "http" http_handler_config { path = "x" }': 'path: must be an',
    'type = "nodes" handler_type = "http" http_handler_config { path = "http://x" timeout = "x" }':
      'timeout: must be a duration',
    'type = "nodes" handler_type = "http" http_handler_config { path = "http://x" header { a = 1 } }':
      'must be an object of lists',
    'type = "nodes" handler_type = "http" http_handler_config { url = "http://x" }': 'url: unknown',
  }
  for (const [text, problem] of Object.entries(wrong)) {
    const { watch, problems } = read(text)
    t.match(problems.join('\n'), problem, text)
    t.equal(watch, undefined, text)
  }
})
