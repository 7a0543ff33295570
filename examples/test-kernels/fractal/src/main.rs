//! The set as text.

fn main() -> fractal::Result<()> {
    let [width, height] = [76, 32];
    let picture = fractal::Gpu::first()?.picture([width, height], 255)?;
    for row in picture.steps.chunks(width as usize) {
        let shade =
            |&steps: &u32| [' ', '.', ':', '-', '=', '+', '*', '#', '@'][steps.ilog2() as usize];
        println!("{}", row.iter().map(shade).collect::<String>());
    }
    println!(
        "{} of {} pixels in the set",
        picture.histogram[255],
        width * height
    );
    Ok(())
}
