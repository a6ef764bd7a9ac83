/** The two ways to name a person. Their canonical form is the only key for limits, uniqueness and look-ups. */
export { asciiDigits } from './digits.ts';
export { capitalsOf, type Email, emailInput, maskEmail, parseEmail, spelled } from './email.ts';
export {
  isReservedPhone,
  maskPhone,
  type Phone,
  type PhoneOptions,
  parsePhone,
  phoneInput,
} from './phone.ts';
