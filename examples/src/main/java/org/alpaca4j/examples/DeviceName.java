package org.alpaca4j.examples;

import ai.djl.Device;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a device as PyTorch writes it: {@code cpu}, {@code cuda}, {@code cuda:1}. */
final class DeviceName implements ITypeConverter<Device> {
  @Override
  public Device convert(String text) {
    String name = ExampleCommand.withoutQuotes(text);
    if (name.equals("cpu")) {
      return Device.cpu();
    }
    if (name.equals("cuda")) {
      return Device.gpu();
    }
    if (name.matches("cuda:[0-9]{1,3}")) {
      return Device.gpu(Integer.parseInt(name.substring("cuda:".length())));
    }
    throw new TypeConversionException("'" + text + "' is not cpu, cuda or cuda:N");
  }
}
