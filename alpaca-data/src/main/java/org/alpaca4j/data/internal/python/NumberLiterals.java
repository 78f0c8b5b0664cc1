package org.alpaca4j.data.internal.python;

import java.math.BigInteger;
import java.util.Locale;

/** Brings numbers into one form: {@code 0x10} and {@code 1_6} are both 16. */
final class NumberLiterals {
  /** CPython's own limit for decimal integers; here for all. */
  private static final int MAX_DIGITS = 4300;

  private NumberLiterals() {}

  static String value(Token number) throws PythonSyntaxException {
    String text = number.text().replace("_", "").toLowerCase(Locale.ROOT);
    int radix = text.startsWith("0x") ? 16 : text.startsWith("0o") ? 8 : 2;
    if (radix == 16 || text.startsWith("0o") || text.startsWith("0b")) {
      return integer(number, text.substring(2), radix);
    }
    if (text.endsWith("j")) {
      return floating(text.substring(0, text.length() - 1)) + "j";
    }
    boolean integer = text.chars().allMatch(Character::isDigit);
    return integer ? integer(number, text, 10) : floating(text);
  }

  private static String integer(Token number, String digits, int radix)
      throws PythonSyntaxException {
    if (digits.length() > MAX_DIGITS) {
      throw new PythonSyntaxException(
          number.line(), "an integer of more than " + MAX_DIGITS + " digits");
    }
    return new BigInteger(digits, radix).toString();
  }

  private static String floating(String text) {
    return Double.toString(Double.parseDouble(text));
  }
}
