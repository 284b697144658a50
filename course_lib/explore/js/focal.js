// Focal loss of one example whose true class has the probability p: course_lib's sigmoid_focal_loss.
// Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5 and appendix B.

/** α (1 − p)^γ (−ln p) */
export const focalLoss = (p, gamma, alpha = 1) => alpha * (1 - p) ** gamma * -Math.log(p);

/** How strongly it pulls: the absolute derivative of the loss for the logit. */
export const focalGradient = (p, gamma, alpha = 1) =>
  alpha * (1 - p) ** gamma * (1 - p - gamma * p * Math.log(p));

/** The probability of the true class from a logit that is positive when the example is right. */
export const sigmoid = (logit) => (logit >= 0 ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit) / (1 + Math.exp(logit)));

/** Focal loss from that logit: 1 − p and −ln p keep their precision where p is almost 1. */
export function focalLossOfLogit(logit, gamma) {
  const wrong = sigmoid(-logit);
  const entropy = Math.log1p(Math.exp(-Math.abs(logit))) + Math.max(-logit, 0);
  return wrong ** gamma * entropy;
}

/** Running share of the total, the smallest first: begins at 0, ends at 1. */
export function cumulative(values) {
  const total = values.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  return [0, ...[...values].sort((a, b) => a - b).map((value) => (sum += value) / total)];
}
