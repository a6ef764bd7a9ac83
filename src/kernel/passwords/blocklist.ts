/**
 * The block list: what people choose when a policy forces their hand. It is produced from the habits behind leaked lists
 * (a common word, perhaps twice, then a year or a count and some punctuation; or a walk over the keyboard) instead of
 * being shipped as data: some 300,000 values, tested without being spelled out in memory.
 */

const WORDS =
  `password passwort passw0rd pass p@ss pwd admin administrator root user login welcome letmein qwerty qwertz azerty
  qwer asdf zxcv qwertyuiop asdfghjkl zxcvbnm qazwsx qweasd abc abcd abcdef abc123 test tester testing guest default
  changeme change temp temporary secret master access server system manager office company business account user123
  monkey dragon football baseball basketball hockey soccer cricket superman batman spiderman pokemon starwars ninja
  sunshine princess flower shadow michael jordan daniel jessica ashley charlie thomas robert jennifer andrew joshua
  iloveyou loveyou lovely love money hello hello123 freedom whatever trustno1 killer hunter summer winter spring
  autumn monday friday january february march april june july august september october november december
  london berlin paris madrid india mumbai delhi bangalore america canada google facebook github microsoft windows
  samsung iphone apple android linux oracle cisco internet computer laptop network security firewall database
  trading trader broker bitcoin crypto vestibule onboarding signin signup helloworld
  letmeinnow passphrase correcthorsebatterystaple`.split(/\s+/);

const NUMBERS = [
  '',
  '1',
  '01',
  '12',
  '123',
  '1234',
  '12345',
  '123456',
  '1234567',
  '12345678',
  '123456789',
].concat(
  ['1234567890', '321', '007', '111', '11', '99', '100', '777', '666', '786', '2468', '13579', '69'],
  Array.from({ length: 81 }, (_, i) => String(1950 + i)),
);
const MARKS = [
  '',
  '!',
  '!!',
  '!!!',
  '@',
  '#',
  '$',
  '.',
  '*',
  '?',
  '!@#',
  '@!',
  '#1',
  '@1',
  '@123',
  '!@#$',
  '!@#$%',
  '@#$',
  '@#$%',
];
const JOINTS = ['@', '#', '_', '-', '.', '!', '$', '&', ' '];
const HEADS = ['', 'my', 'the', '1', '123', '1234', '12345', '123456', '!', '@', '#'];

const ROWS = [
  '1234567890',
  '0987654321',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'abcdefghijklmnopqrstuvwxyz',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm',
  'qazwsxedcrfvtgbyhnujm',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  'qwertyuiopasdfghjklzxcvbnm',
  'a1b2c3d4e5f6g7h8i9j0',
  '1qaz1qaz2wsx2wsx',
  'zaq1xsw2cde3vfr4',
  'qwerty123456123456',
  'qwer1234asdf5678',
];

const LEET: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '|': 'i',
  l: 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
  '+': 't',
};

/** One spelling for all disguises of a value: `P@ssw0rd` and `password` fold alike. */
const fold = (value: string): string =>
  value
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[@431!|l0$57+]/g, (mark) => LEET[mark]!);

/** The keys pressed, whatever the shift key did (US layout), so that `1qaz@WSX` is the walk it is. */
const unshift = (value: string): string =>
  value.toLowerCase().replace(/[!@#$%^&*()]/g, (mark) => String(')!@#$%^&*('.indexOf(mark)));

type Parts = { words: string[]; tails: Set<string>; walks: Set<string> };

function build(): Parts {
  const tails = NUMBERS.flatMap((number) => [
    ...MARKS.map((mark) => number + mark),
    ...JOINTS.flatMap((joint) => [joint + number, `${joint + number}!`]),
  ]);
  const walks = ROWS.flatMap((row) => [
    ...Array.from({ length: 59 }, (_, i) => row.repeat(8).slice(0, 6 + i)),
    ...MARKS.map((mark) => row + mark),
  ]);
  return {
    words: [...new Set(WORDS.map(fold))],
    tails: new Set(tails.map(fold)),
    walks: new Set(walks.map(unshift)),
  };
}

let parts: Parts | undefined;

function wordWithTail(value: string, { words, tails }: Parts): boolean {
  return words.some((word) => {
    let rest = value;
    while (rest.startsWith(word)) {
      rest = rest.slice(word.length);
      if (tails.has(rest)) return true;
    }
    return false;
  });
}

/** Whether the whole value is a commonly chosen one, whatever its capitals and look-alike characters. */
export function isCommon(value: string): boolean {
  if (/^([a-z0-9])\1*$/i.test(value)) return true;
  parts ??= build();
  if (parts.walks.has(unshift(value))) return true;
  const folded = fold(value);
  return HEADS.map(fold).some(
    (head) => folded.startsWith(head) && wordWithTail(folded.slice(head.length), parts!),
  );
}
