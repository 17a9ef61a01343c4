import { expect } from 'chai'
import { learningRateAt } from '../../lib/train/schedule.js'

describe('learning rate schedule', () => {
  const steps = 200
  const rates = Array.from({ length: steps }, (_, step) => learningRateAt(step, steps, 0.4))

  it('rises in equal steps over a tenth of the training', () => {
    expect(rates[0]).to.be.closeTo(0.4 / 20, 1e-12)
    expect(rates[9]).to.be.closeTo(0.2, 1e-12)
    expect(rates[19]).to.equal(0.4)
  })

  it('then falls as a half cosine and never reaches 0', () => {
    expect(rates[20]).to.equal(0.4)
    expect(rates[110]).to.be.closeTo(0.2, 1e-12)
    for (let step = 21; step < steps; step++) expect(rates[step]).to.be.below(rates[step - 1] as number)
    expect(rates[steps - 1]).to.be.within(1e-9, 1e-3)
  })

  it('holds for the shortest trainings', () => {
    expect(learningRateAt(0, 1, 0.1)).to.equal(0.1)
    for (let step = 0; step < 3; step++) expect(learningRateAt(step, 3, 0.1)).to.be.within(1e-3, 0.1)
  })
})
