package org.alpaca4j.examples;

import org.alpaca4j.core.DType;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A type of weights, by torch's name. */
final class WeightType implements ITypeConverter<DType> {
  @Override
  public DType convert(String text) {
    return DType.ofTorchName(ExampleCommand.withoutQuotes(text))
        .filter(DType::isWeight)
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "'" + text + "' is neither float32, bfloat16 nor float16"));
  }
}
