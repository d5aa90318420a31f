/** python3-hvac before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../python-hvac.test.ts')
