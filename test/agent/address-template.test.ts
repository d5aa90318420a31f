/** Addresses by template: what go-sockaddr's functions mean on one machine. */
import t from 'tap'
import { expandTemplate, type MachineAddress } from '../../src/agent/address-template.ts'

const at = (name: string, address: string, more: Partial<MachineAddress> = {}): MachineAddress => ({
  name,
  address,
  prefixBits: 24,
  isLoopback: name === 'lo',
  isDefault: false,
  ...more,
})

const machine = [
  at('lo', '127.0.0.1', { prefixBits: 8 }),
  at('lo', '::1', { prefixBits: 128 }),
  at('docker0', '172.17.0.1', { prefixBits: 16 }),
  at('eth0', '10.1.2.3', { isDefault: true }),
  at('eth0', 'fd00::3', { isDefault: true, prefixBits: 64 }),
  at('eth0', 'fe80::3', { isDefault: true, prefixBits: 64 }),
  at('eth1', '203.0.113.9'),
]

t.test('templates as the documents of Consul show them', async t => {
  const given: Record<string, string> = {
    '{{ GetPrivateIP }}': '10.1.2.3',
    '{{GetPublicIP}}': '203.0.113.9',
    '{{ GetPrivateIPs }}': '10.1.2.3 fd00::3 172.17.0.1',
    '{{ GetInterfaceIP "eth1" }}': '203.0.113.9',
    '{{ GetInterfaceIP `docker\\d` }}': '172.17.0.1',
    '{{ GetInterfaceIPs "eth" }}': '10.1.2.3 fd00::3 203.0.113.9',
    '{{ GetAllInterfaces | include "network" "172.16.0.0/12" | attr "address" }}': '172.17.0.1',
    '{{ GetAllInterfaces | include "name" "^eth" | include "flags" "forwardable|up" | sort "-default,size" | limit 1 | attr "address" }}':
      '203.0.113.9',
    '{{ GetPrivateInterfaces | include "network" "10.1.2.0/24" | attr "address" }}': '10.1.2.3',
    '{{ GetPrivateInterfaces | sort "default" | join "address" " " }}':
      '10.1.2.3 fd00::3 172.17.0.1',
    '{{ GetAllInterfaces | exclude "flags" "loopback" | exclude "type" "ipv6" | exclude "rfc" "1918" | join "address" " " }}':
      '203.0.113.9',
    '{{ GetDefaultInterfaces | exclude "type" "ipv4" | offset 1 | attr "address" }}': 'fe80::3',
    '127.0.0.1 {{ GetPrivateIP }}': '127.0.0.1 10.1.2.3',
    '{{ GetAllInterfaces | unique "name" | sort "+address" | join "name" "," }}':
      'eth0,lo,docker0,eth1',
  }
  for (const [template, text] of Object.entries(given)) {
    t.same(expandTemplate(template, machine), { text }, template)
  }
})

t.test('what cannot be used says why', async t => {
  const wrong: Record<string, string> = {
    '{{ GetPublicIP }}': 'no address of this machine fits',
    '{{ GetPrivateIP | attr "address" }}': 'nothing can follow',
    '{{ GetAllInterfaces }}': 'it gives interfaces',
    '{{ GetAllInterfaces | math "address" "+1" }}': 'the function "math" is not known',
    '{{ env "HOME" }}': 'the function "env" is not known',
    '{{ GetAllInterfaces | include "name" "(" | attr "address" }}': 'is no regular expression',
    '{{ GetAllInterfaces | include "network" "10.0.0.0/99" | attr "address" }}': 'is no network',
    '{{ GetAllInterfaces | include "rfc" "1" | attr "address" }}': 'the RFC "1" is not known',
    '{{ GetAllInterfaces | include "colour" "red" | attr "address" }}': 'cannot be chosen by',
    '{{ GetAllInterfaces | include "flags" "shiny" | attr "address" }}': 'the flag "shiny"',
    '{{ GetAllInterfaces | include "type" "x" | attr "address" }}': 'of the type "x"',
    '{{ GetAllInterfaces | sort "x" | attr "address" }}': 'cannot be sorted by "x"',
    '{{ GetAllInterfaces | limit x | attr "address" }}': 'a number is missing',
    '{{ GetAllInterfaces | attr "x" }}': 'has no "x"',
    '{{ GetPrivateIP': 'braces do not match',
    '{{ }}': 'the function "" is not known',
  }
  for (const [template, problem] of Object.entries(wrong)) {
    const result = expandTemplate(template, machine.slice(0, 3))
    t.match('problem' in result && result.problem, problem, template)
  }
})
