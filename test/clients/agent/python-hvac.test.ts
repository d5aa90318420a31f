/** Debian's `python3-hvac` before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../python-hvac.test.ts')
