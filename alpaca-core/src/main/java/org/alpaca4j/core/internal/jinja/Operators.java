package org.alpaca4j.core.internal.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Python's arithmetic on template values. */
final class Operators {
  private static final int MAX_BITS = 64 * 1024;
  private static final BigInteger EXACT = BigInteger.ONE.shiftLeft(53);

  private Operators() {}

  static Object apply(String operator, Object a, Object b) {
    if (operator.equals("%") && Values.isString(a)) {
      return percent(a, b);
    }
    if (a instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (b instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (Values.isNumber(a) && Values.isNumber(b)) {
      boolean real = a instanceof Double || b instanceof Double;
      return real
          ? floating(operator, Values.real(a), Values.real(b))
          : integer(operator, toInt(a), toInt(b));
    }
    Object result = null;
    if (operator.equals("+")) {
      result = concatenate(a, b);
    } else if (operator.equals("*")) {
      if (Values.isInt(b) || b instanceof Boolean) {
        result = repeat(a, b);
      } else if (Values.isInt(a) || a instanceof Boolean) {
        result = repeat(b, a);
      }
    }
    if (result == null) {
      throw unsupported(operator, a, b);
    }
    return result;
  }

  private static JinjaException unsupported(String operator, Object a, Object b) {
    String left = Values.typeName(a);
    String right = Values.typeName(b);
    if (operator.equals("+") && (a instanceof String || a instanceof List)) {
      return JinjaException.type(
          "can only concatenate " + left + " (not \"" + right + "\") to " + left);
    }
    return JinjaException.type(
        "unsupported operand type(s) for " + operator + ": '" + left + "' and '" + right + "'");
  }

  private static Object percent(Object format, Object values) {
    if (format instanceof Markup markup) {
      Object escaped = values;
      if (values instanceof Tuple tuple) {
        List<Object> items = new ArrayList<>();
        tuple.forEach(item -> items.add(Values.isString(item) ? Markup.escape(item) : item));
        escaped = new Tuple(items);
      } else if (Values.isString(values)) {
        escaped = Markup.escape(values);
      }
      return new Markup(Formatting.percent(markup.text(), escaped));
    }
    return Formatting.percent((String) format, values);
  }

  private static @Nullable Object concatenate(Object a, Object b) {
    if (a instanceof String left && b instanceof String right) {
      Rendering.checkLength((long) left.length() + right.length());
      return left.concat(right);
    } else if (Values.isString(a) && Values.isString(b)) {
      String text = Markup.escape(a) + Markup.escape(b);
      Rendering.checkLength(text.length());
      return new Markup(text);
    } else if (a instanceof List<?> left
        && b instanceof List<?> right
        && a instanceof Tuple == b instanceof Tuple) {
      Rendering.checkLength((long) left.size() + right.size());
      List<Object> joined = new ArrayList<>(left);
      joined.addAll(right);
      return a instanceof Tuple ? new Tuple(joined) : joined;
    }
    return null;
  }

  private static @Nullable Object repeat(Object value, Object times) {
    int count = Values.index(times);
    if (value instanceof String text) {
      return Strings.repeat(text, count);
    } else if (value instanceof Markup markup) {
      return new Markup(Strings.repeat(markup.text(), count));
    } else if (value instanceof List<?> list) {
      Rendering.checkLength((long) Math.max(0, count) * list.size());
      List<Object> repeated = new ArrayList<>();
      for (int i = 0; i < count && !list.isEmpty(); i++) {
        repeated.addAll(list);
      }
      return value instanceof Tuple ? new Tuple(repeated) : repeated;
    }
    return null;
  }

  private static Object toInt(Object value) {
    return value instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : value;
  }

  private static Object integer(String operator, Object a, Object b) {
    if (a instanceof Long left && b instanceof Long right) {
      try {
        switch (operator) {
          case "+":
            return Math.addExact(left, right);
          case "-":
            return Math.subtractExact(left, right);
          case "*":
            return Math.multiplyExact(left, right);
          case "%":
            if (right != 0) {
              return Math.floorMod(left, right);
            }
            break;
          case "//":
            if (right != 0 && left != Long.MIN_VALUE) {
              return Math.floorDiv(left, right);
            }
            break;
          default:
        }
      } catch (ArithmeticException overflow) {
        // goes on with arbitrary precision
      }
    }
    BigInteger left = Values.big(a);
    BigInteger right = Values.big(b);
    switch (operator) {
      case "+":
        return bounded(left.add(right));
      case "-":
        return bounded(left.subtract(right));
      case "*":
        if ((long) left.bitLength() + right.bitLength() > MAX_BITS) {
          throw JinjaException.limit("integer with more than " + MAX_BITS + " bits");
        }
        return bounded(left.multiply(right));
      case "**":
        return power(left, right);
      default:
    }
    if (right.signum() == 0) {
      throw zeroDivision();
    }
    if (operator.equals("/")) {
      if (left.abs().compareTo(EXACT) <= 0 && right.abs().compareTo(EXACT) <= 0) {
        return left.doubleValue() / right.doubleValue();
      }
      double quotient =
          new BigDecimal(left).divide(new BigDecimal(right), new MathContext(60)).doubleValue();
      if (Double.isInfinite(quotient)) {
        throw JinjaException.runtime(
            "OverflowError: integer division result too large for a float");
      }
      return quotient;
    }
    BigInteger[] parts = left.divideAndRemainder(right);
    boolean adjust = parts[1].signum() != 0 && parts[1].signum() != right.signum();
    if (operator.equals("//")) {
      return Values.normalize(adjust ? parts[0].subtract(BigInteger.ONE) : parts[0]);
    }
    return Values.normalize(adjust ? parts[1].add(right) : parts[1]);
  }

  private static Object bounded(BigInteger number) {
    if (number.bitLength() > MAX_BITS) {
      throw JinjaException.limit("integer with more than " + MAX_BITS + " bits");
    }
    return Values.normalize(number);
  }

  private static Object power(BigInteger base, BigInteger exponent) {
    if (exponent.signum() < 0) {
      if (base.signum() == 0) {
        throw JinjaException.runtime("ZeroDivisionError: 0.0 cannot be raised to a negative power");
      }
      return Math.pow(Values.real(Values.normalize(base)), exponent.doubleValue());
    }
    if (base.abs().compareTo(BigInteger.ONE) <= 0) {
      return Values.normalize(
          exponent.signum() == 0
              ? BigInteger.ONE
              : base.signum() < 0 && !exponent.testBit(0) ? BigInteger.ONE : base);
    }
    if (exponent.bitLength() > 31 || (long) base.bitLength() * exponent.longValue() > MAX_BITS) {
      throw JinjaException.limit("integer with more than " + MAX_BITS + " bits");
    }
    return Values.normalize(base.pow(exponent.intValue()));
  }

  private static JinjaException zeroDivision() {
    return JinjaException.runtime("ZeroDivisionError: division by zero");
  }

  private static Object floating(String operator, double a, double b) {
    switch (operator) {
      case "+":
        return a + b;
      case "-":
        return a - b;
      case "*":
        return a * b;
      case "**":
        return power(a, b);
      default:
    }
    if (b == 0) {
      throw zeroDivision();
    }
    if (operator.equals("/")) {
      return a / b;
    }
    double remainder = a % b;
    double quotient = (a - remainder) / b;
    if (remainder != 0) {
      if (b < 0 != remainder < 0) {
        remainder += b;
        quotient -= 1;
      }
    } else {
      remainder = Math.copySign(0.0, b);
    }
    if (operator.equals("%")) {
      return remainder;
    }
    if (quotient == 0) {
      return Math.copySign(0.0, a / b);
    }
    double floor = Math.floor(quotient);
    return quotient - floor > 0.5 ? floor + 1 : floor;
  }

  private static Object power(double base, double exponent) {
    if (base == 0 && exponent < 0) {
      throw JinjaException.runtime("ZeroDivisionError: 0.0 cannot be raised to a negative power");
    }
    if (base < 0
        && !Double.isInfinite(base)
        && !Values.isIntegral(exponent)
        && !Double.isInfinite(exponent)
        && !Double.isNaN(exponent)) {
      throw JinjaException.unsupported("a complex number");
    }
    if (base == 1 || exponent == 0) {
      return 1.0;
    }
    if (base == -1 && Double.isInfinite(exponent)) {
      return 1.0;
    }
    double result = Math.pow(base, exponent);
    if (Double.isInfinite(result) && !Double.isInfinite(base) && !Double.isInfinite(exponent)) {
      throw JinjaException.runtime("OverflowError: Numerical result out of range");
    }
    return result;
  }

  static Object negate(Object value, boolean negative) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (value instanceof Double number) {
      return negative ? -number : number;
    }
    if (Values.isNumber(value)) {
      BigInteger number = Values.big(value);
      return Values.normalize(negative ? number.negate() : number);
    }
    throw JinjaException.type(
        "bad operand type for unary "
            + (negative ? "-" : "+")
            + ": '"
            + Values.typeName(value)
            + "'");
  }
}
